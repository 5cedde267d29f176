"""The report as one self-contained HTML page. Texts of records are untrusted: all is escaped, nothing is loaded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import jinja2
import msgspec
import platformdirs
import vl_convert
from markupsafe import Markup, escape

from preventable.evidence.store import replace_file
from preventable.records import METHOD_VERSION, ReadReport
from preventable.report.charts import DARK_COLOURS
from preventable.report.model import Column, Section, Table
from preventable.report.wording import percent, rounded

_SHORT_TABLE = 12
"""Rows up to which a table is shown whole instead of in a box that scrolls."""
_LONG_TEXT = 40
"""Characters from which a text needs a wide column; on a phone such a table becomes one block per row."""


_HYPHENATED = re.compile(r"(?<!\S)(?=\S{1,24}(?!\S))\S*-\S*")


class Page(msgspec.Struct, frozen=True):
    """What the page shows besides its sections."""

    title: str
    kicker: str
    summary: tuple[str, ...]
    sections: Sequence[Section]
    inputs: Sequence[ReadReport]
    citation: str
    records: Mapping[str, object] | None = None
    """The record table, packed: ``definitions, components, classes, sources, rows``."""


def render_html(page: Page) -> str:
    """The page as text; the same page gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("preventable", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    charts = [(f.id, _json_for_script(f.chart)) for s in page.sections for f in s.figures if f.chart is not None]
    return environment.get_template("template.html.j2").render(
        title=page.title,
        kicker=page.kicker,
        summary=page.summary,
        sections=page.sections,
        inputs=page.inputs,
        citation=page.citation,
        licences=sorted({r.licence for r in page.inputs}),
        method_version=METHOD_VERSION,
        charts=charts,
        records=_json_for_script(page.records) if page.records else None,
        cell=_cell,
        table_class=_table_class,
        scroll_class=_scroll_class,
        dark_colours=_json_for_script(DARK_COLOURS),
        bundle=Markup(_bundle().replace("</script", "<\\/script")),
        page_script=Markup((Path(__file__).parent / "page.js").read_text(encoding="utf-8")),
    )


def _json_for_script(value: object) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = msgspec.json.encode(value, order="deterministic").decode()
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _is_prose(table: Table) -> bool:
    return any(
        len(str(row.get(c.name) or "")) > _LONG_TEXT for c in table.columns if c.kind == "text" for row in table.rows
    )


def _table_class(table: Table) -> str:
    return "sortable prose" if _is_prose(table) else "sortable"


def _scroll_class(table: Table) -> str:
    return "scroll whole" if len(table.rows) <= _SHORT_TABLE else "scroll"


def _cell(row: Mapping[str, object], column: Column, *, prose: bool = False) -> Markup:
    """One cell; in a table of prose it carries its column's name, which a phone shows instead of the head."""
    named = Markup(' data-label="{}"').format(column.label) if prose else Markup("")
    value = row.get(column.name)
    if value is None:
        return Markup('<td{}{} data-value="">–</td>').format(
            named, Markup(' class="n"' if column.kind != "text" else "")
        )
    if column.kind == "text":
        text = str(value)
        short = " " in text or len(text) > 24
        kind = "code" if column.name == "digest" else "wide" if len(text) > _LONG_TEXT else "" if short else "word"
        classed = Markup(' class="{}"').format(kind) if kind else Markup("")
        return Markup("<td{}{}>{}</td>").format(classed, named, text if kind == "code" else _unbroken(text))
    if column.kind == "date" or isinstance(value, date):
        return Markup('<td class="word"{}>{}</td>').format(named, str(value))
    if not isinstance(value, int | float):
        return Markup('<td class="n"{}>{}</td>').format(named, str(value))
    if column.kind == "share":
        shown = percent(value)
    elif column.kind == "count":
        shown = rounded(value)
    else:
        shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.4g}"
    return Markup('<td class="n"{} data-value="{}">{}</td>').format(named, repr(value), escape(shown))


def _unbroken(text: str) -> Markup:
    """The text, escaped, with its short hyphenated words (``Fil-C``, ``-fbounds-safety``) kept on one line."""
    return Markup(_HYPHENATED.sub(r'<span class="nb">\g<0></span>', str(escape(text))))


def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, made by vl-convert and kept in the user's cache."""
    cache = Path(platformdirs.user_cache_dir("preventable")) / f"vega-{version('vl-convert-python')}.js"
    try:
        return cache.read_text(encoding="utf-8")
    except OSError:
        pass
    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    # A home that cannot be written only costs the second again next time.
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        replace_file(cache, script.encode())
    return script
