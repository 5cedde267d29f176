"""Charts as Vega-Lite specifications, their data inline. Colours hold in light, in dark and for the colour-blind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

Spec = dict[str, Any]
Rows = Sequence[Mapping[str, object]]

STATE_COLOURS = {
    "by construction": "#0b6e4f",
    "with effort": "#63b995",
    "contained": "#3274b5",
    "detected": "#dfa21f",
    "not": "#bf4434",
    "not available": "#8d939b",
    "unknown": "#c3c8ce",
}
"""From ruled out to not prevented, then what is not known."""

CLASS_COLOURS = {
    "spatial": "#a63d2f",
    "temporal": "#d9822b",
    "initialization": "#e3b54a",
    "type": "#7a3e65",
    "null": "#3274b5",
    "race": "#5aa0a8",
    "integer": "#7fb069",
    "other classes": "#9aa0a6",
    "unknown": "#c9ced4",
}


def ladder(rows: Rows, references: Rows) -> Spec:
    """Shares by definition: interval, bounds from unknown records, and published figures as hollow diamonds.

    Args:
        rows: ``definition, from, share, low, high, bound_low, bound_high, count, total, estimator``; ``from`` is
            ``labels`` or ``audit``.
        references: ``definition`` (who counted, and when), ``share, scope, source``; one row each, below.
    """
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", title="share of records", tickCount=6)
    order = [str(r["definition"]) for r in (*rows, *references)]
    y = alt.Y("definition:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=alt.Axis(labelLimit=260))
    data = alt.InlineData(values=list(rows))
    tips = [
        alt.Tooltip("definition:N"),
        alt.Tooltip("estimator:N"),
        alt.Tooltip("share:Q", format=".1%"),
        alt.Tooltip("low:Q", format=".1%"),
        alt.Tooltip("high:Q", format=".1%"),
        alt.Tooltip("count:Q"),
        alt.Tooltip("total:Q"),
    ]
    colour = alt.Color(
        "from:N",
        title=None,
        scale=alt.Scale(domain=["labels", "audit"], range=["#3274b5", "#0b6e4f"]),
        legend=alt.Legend(orient="top", labelExpr="datum.label == 'audit' ? 'corrected by an audit' : 'labels'"),
    )
    base = alt.Chart(data).encode(y=y, color=colour)
    bounds = base.mark_rule(strokeWidth=7, opacity=0.22).encode(
        x=alt.X("bound_low:Q", scale=scale, axis=axis), x2="bound_high:Q"
    )
    interval = base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x="share:Q", tooltip=tips)
    layers = [bounds, interval, points]
    if references:
        layers.append(
            alt.Chart(alt.InlineData(values=list(references)))
            .mark_point(shape="diamond", size=80, filled=False, color="#bf4434", strokeWidth=1.6)
            .encode(
                x="share:Q",
                y=y,
                tooltip=["definition:N", alt.Tooltip("share:Q", format=".0%"), "scope:N", "source:N"],
            )
        )
    return _spec(alt.layer(*layers).properties(width="container", height=alt.Step(26)))


def stacked_counts(rows: Rows, *, x: str, colour: str, colours: Mapping[str, str], y_title: str) -> Spec:
    """Counts per period, stacked by class or state; ``rows`` have ``x``, ``colour`` and ``count``."""
    domain = [c for c in colours if any(r[colour] == c for r in rows)]
    picked = alt.selection_point(fields=[colour], bind="legend")
    chart = (
        alt.Chart(alt.InlineData(values=[{**r, "order": domain.index(str(r[colour]))} for r in rows]))
        .mark_bar()
        .encode(
            x=alt.X(f"{x}:N", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("count:Q", title=y_title),
            color=alt.Color(
                f"{colour}:N",
                title=None,
                scale=alt.Scale(domain=domain, range=[colours[c] for c in domain]),
                legend=alt.Legend(orient="top", columns=5),
            ),
            order=alt.Order("order:Q"),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.15)),
            tooltip=[f"{x}:N", f"{colour}:N", alt.Tooltip("count:Q", format=",.0f")],
        )
        .add_params(picked)
        .properties(width="container", height=280)
    )
    return _spec(chart)


def state_bars(rows: Rows) -> Spec:
    """Share of records per intervention and state: ``intervention, state, share, count, low, high``."""
    domain = list(STATE_COLOURS)
    order = list(dict.fromkeys(str(r["intervention"]) for r in rows))
    picked = alt.selection_point(fields=["state"], bind="legend")
    chart = (
        alt.Chart(alt.InlineData(values=[{**r, "order": domain.index(str(r["state"]))} for r in rows]))
        .mark_bar()
        .encode(
            y=alt.Y("intervention:N", sort=order, title=None, axis=alt.Axis(labelLimit=280)),
            x=alt.X(
                "share:Q",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%"),
                title="share of records",
            ),
            color=alt.Color(
                "state:N",
                title=None,
                scale=alt.Scale(domain=domain, range=list(STATE_COLOURS.values())),
                legend=alt.Legend(orient="top", columns=4),
            ),
            order=alt.Order("order:Q"),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.15)),
            tooltip=[
                "intervention:N",
                "state:N",
                alt.Tooltip("share:Q", format=".1%"),
                alt.Tooltip("count:Q", format=",.0f"),
                alt.Tooltip("low:Q", format=",.0f"),
                alt.Tooltip("high:Q", format=",.0f"),
            ],
        )
        .add_params(picked)
        .properties(width="container", height=alt.Step(34))
    )
    return _spec(chart)


def share_over_time(rows: Rows) -> Spec:
    """Share per period and definition with its interval: ``period, definition, share, low, high, count, total``."""
    base = alt.Chart(alt.InlineData(values=list(rows)))
    x = alt.X("period:N", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True))
    colour = alt.Color("definition:N", title=None, legend=alt.Legend(orient="top"))
    band = base.mark_area(opacity=0.18).encode(
        x=x, y=alt.Y("low:Q", axis=alt.Axis(format="%"), title="share of records"), y2="high:Q", color=colour
    )
    line = base.mark_line(point=True).encode(
        x=x,
        y=alt.Y("share:Q", scale=alt.Scale(zero=True)),
        color=colour,
        tooltip=[
            "period:N",
            "definition:N",
            alt.Tooltip("share:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%"),
            alt.Tooltip("high:Q", format=".1%"),
            "count:Q",
            "total:Q",
        ],
    )
    return _spec(alt.layer(band, line).properties(width="container", height=260))


def component_bars(rows: Rows) -> Spec:
    """Memory-safety records per component, most first: ``component, memory_safety, other, exploited``."""
    order = [str(r["component"]) for r in rows]
    long = [
        {"component": r["component"], "part": part, "count": r[key], "order": i}
        for r in rows
        for i, (part, key) in enumerate(
            (("memory safety", "memory_safety"), ("class unknown", "unknown"), ("other", "other"))
        )
    ]
    chart = (
        alt.Chart(alt.InlineData(values=long))
        .mark_bar()
        .encode(
            y=alt.Y("component:N", sort=order, title=None, axis=alt.Axis(labelLimit=260)),
            x=alt.X("count:Q", title="records", axis=alt.Axis(tickCount=8)),
            color=alt.Color(
                "part:N",
                title=None,
                scale=alt.Scale(
                    domain=["memory safety", "class unknown", "other"], range=["#a63d2f", "#c3c8ce", "#7d92a8"]
                ),
                legend=alt.Legend(orient="top"),
            ),
            order=alt.Order("order:Q"),
            tooltip=["component:N", "part:N", "count:Q"],
        )
        .properties(width="container", height=alt.Step(20))
    )
    return _spec(chart)


def _spec(chart: Any) -> Spec:
    # The page sets the theme by its own colours, so that light and dark follow the reader.
    spec: Spec = chart.to_dict()
    spec.pop("config", None)
    spec.setdefault("autosize", {"type": "fit-x", "contains": "padding"})
    return spec
