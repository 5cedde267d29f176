"""Which label stands: a specific CWE, else the words; vague CWEs do not decide."""

from __future__ import annotations

import pytest

from preventable.classify.labeller import claimed_classes, label_by_cwe, label_records, unknown_cwes
from preventable.records import Advisory, CweClaim
from preventable.taxonomy.loader import builtin


def advisory(*cwes: int, title: str = "") -> Advisory:
    claims = tuple(CweClaim(c, f"who{i}") for i, c in enumerate(cwes))
    return Advisory(id="X", feed="f", file="f", title=title, cwes=claims)


@pytest.mark.parametrize(
    ("cwes", "weakness", "cwe"),
    [
        ((), "unknown", None), ((20,), "unknown", None), ((20, 200, 400), "unknown", None),
        ((416,), "temporal", 416), ((476, 416), "temporal", 416), ((190, 787), "spatial", 787),
        ((20, 79), "injection", 79), ((99_999,), "unknown", None), ((125, 787), "spatial", 125),
    ],
)  # fmt: skip
def test_by_cwe(cwes: tuple[int, ...], weakness: str, cwe: int | None) -> None:
    label = label_by_cwe(advisory(*cwes), builtin())
    assert (label.weakness, label.cwe) == (weakness, cwe)
    assert label.source == ("none" if weakness == "unknown" else "cwe")
    assert all(r.kind == "cwe" and r.said_by.startswith("who") for r in label.reasons)


@pytest.mark.parametrize(
    ("cwes", "said"),
    [
        ((), []),
        ((20,), [(20, None, "vague")]),
        ((99_999, 416), [(416, "temporal", None), (99_999, None, "not in the map")]),
        ((476, 787, 125), [(787, "spatial", None), (125, "spatial", None), (476, "null", "spatial goes before null")]),
        ((787, 787), [(787, "spatial", None), (787, "spatial", None)]),
    ],
)  # fmt: skip
def test_every_claim_stays_with_its_source(
    cwes: tuple[int, ...], said: list[tuple[int, str | None, str | None]]
) -> None:
    record = advisory(*cwes)
    found = claimed_classes(record.cwes, builtin())
    assert [(c.cwe, c.weakness, c.why_not) for c in found] == said
    assert sorted(c.said_by for c in found) == [c.said_by for c in record.cwes]
    deciding = [(f"CWE-{c.cwe}", c.said_by) for c in found if c.why_not is None]
    assert [(r.detail, r.said_by) for r in label_by_cwe(record, builtin()).reasons] == deciding


def test_the_words_decide_where_the_cwe_does_not() -> None:
    found = label_records(
        [advisory(20, title="use after free"), advisory(476, title="use after free"), advisory(20)], builtin()
    )
    standing = [x.standing for x in found]
    assert [(x.weakness, x.source) for x in standing] == [("temporal", "model"), ("null", "cwe"), ("unknown", "none")]
    assert standing[0].cwe == 416, "the rules agree and name the CWE"
    assert {r.kind for r in standing[0].reasons} == {"phrase", "model"}


def test_cwes_that_the_map_lacks_are_counted() -> None:
    assert unknown_cwes([advisory(99_999), advisory(99_999, 416), advisory(20)], builtin()) == {99_999: 2}
