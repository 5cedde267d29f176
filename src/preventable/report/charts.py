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


DARK_COLOURS = {
    "#0b6e4f": "#2fa37a",
    "#63b995": "#8fdcbb",
    "#3274b5": "#5b9ddb",
    "#bf4434": "#e8705e",
    "#a63d2f": "#e0705f",
    "#7a3e65": "#b9719f",
    "#4c78a8": "#6f9fd0",
}
"""What the page draws instead in the dark, where the colour would be too dark on the panel."""


LADDER_LOOKS = {
    "labels": ("#3274b5", "square", "by the labels"),
    "audit": ("#0b6e4f", "square", "corrected by an audit"),
    "audit only": ("#d9822b", "square", "by the audit alone"),
    "published": ("#bf4434", "diamond", "published by others"),
}
"""Colour, shape and words of the marks of ``ladder``, by what a share comes from."""
_RUNG = 10
"""Pixels between the marks of one definition."""


def ladder(rows: Rows, references: Rows) -> Spec:
    """Shares by definition, up to three marks each, one under the other: interval, bounds from unknown records; and
    published figures as diamonds.

    Args:
        rows: ``definition, from, share, low, high, bound_low, bound_high, count, total, estimator``; ``from`` is
            ``labels``, ``audit`` (corrected by one) or ``audit only``. Without bounds none are drawn.
        references: ``definition`` (who counted, and when), ``from`` (``published``), ``share, scope, source``; one
            row each, below.
    """
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", title="share of records", tickCount=6)
    order = list(dict.fromkeys(str(r["definition"]) for r in (*rows, *references)))
    y = alt.Y("definition:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=alt.Axis(labelLimit=260))
    tips = [
        alt.Tooltip("definition:N"),
        alt.Tooltip("from:N"),
        alt.Tooltip("estimator:N"),
        alt.Tooltip("share:Q", format=".1%"),
        alt.Tooltip("low:Q", format=".1%"),
        alt.Tooltip("high:Q", format=".1%"),
        alt.Tooltip("count:Q"),
        alt.Tooltip("total:Q"),
    ]
    shown = [name for name in LADDER_LOOKS if any(r["from"] == name for r in (*rows, *references))]
    colours, shapes, words = zip(*(LADDER_LOOKS[name] for name in shown), strict=True)
    named = ", ".join(f"'{name}': '{said}'" for name, said in zip(shown, words, strict=True))
    legend = alt.Legend(orient="top", symbolOpacity=1, labelExpr=f"{{{named}}}[datum.label]")
    colour = alt.Color("from:N", title=None, scale=alt.Scale(domain=shown, range=colours), legend=legend)
    shape = alt.Shape("from:N", title=None, scale=alt.Scale(domain=shown, range=shapes), legend=legend)
    rungs = [name for name in shown if name != "published"]
    several = len(rungs) > 1
    pale, thick, tall, step = (7, 3, 9, 36) if several else (9, 5, 15, 26)
    layers = []
    for place, name in enumerate(rungs):
        # Alone in the middle of its row, else one under the other around it.
        at = _RUNG * (place - (len(rungs) - 1) / 2)
        base = alt.Chart(alt.InlineData(values=[r for r in rows if r["from"] == name])).encode(y=y, color=colour)
        if name == "labels":
            bounds = alt.X("bound_low:Q", scale=scale, axis=axis)
            layers.append(
                base.mark_rule(strokeWidth=pale, opacity=0.25, yOffset=at).encode(x=bounds, x2="bound_high:Q")
            )
        layers.append(base.mark_rule(strokeWidth=thick, yOffset=at).encode(x="low:Q", x2="high:Q"))
        # A tick, for a dot would hide an interval of two points on a narrow screen.
        tick = base.mark_tick(thickness=2, size=tall, opacity=1, yOffset=at)
        layers.append(tick.encode(x="share:Q", tooltip=tips))
    if references:
        layers.append(
            alt.Chart(alt.InlineData(values=list(references)))
            .mark_point(size=70, filled=True, opacity=1)
            .encode(
                x="share:Q",
                y=y,
                color=colour,
                shape=shape,
                tooltip=["definition:N", alt.Tooltip("share:Q", format=".0%"), "scope:N", "source:N"],
            )
        )
    return _spec(alt.layer(*layers).properties(width="container", height=alt.Step(step)))


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
    """Share per period and definition with its interval: ``period, definition, share, low, high, count, total``.

    A share of ``None`` breaks the line: its period is shown without a mark.
    """
    base = alt.Chart(alt.InlineData(values=list(rows)))
    x = alt.X("period:N", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True))
    colour = alt.Color("definition:N", title=None, legend=alt.Legend(orient="top", symbolOpacity=1))
    band = base.mark_area(opacity=0.18, invalid="break-paths-filter-domains").encode(
        x=x, y=alt.Y("low:Q", axis=alt.Axis(format="%"), title="share of records"), y2="high:Q", color=colour
    )
    line = base.mark_line(point=True, invalid="break-paths-filter-domains").encode(
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
