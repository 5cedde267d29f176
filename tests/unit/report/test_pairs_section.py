"""The sentence about one pair of counterparts."""

from __future__ import annotations

import pytest

from preventable.report.sections.pairs import pair_sentence

ROW = {
    "title": "Binder", "new": "rust_binder", "old": "binder.c", "lines_new": 8_000, "lines_old": 6_000,
    "events_new": 1, "events_old": 2, "start": "2024-01-01", "end": "2025-01-01", "overlap": "full",
    "deployment_new": "some", "deployment_old": "all", "too_young": (), "reason": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "low", "high", "said"),
    [
        (0.6649, 0.1372, 1.9341, "a rate ratio of 0.66 (from 0.14 to 1.9, unadjusted)"),
        (37.45, 4.8723, 1287.4, "a rate ratio of 37 (from 4.9 to 1,300, unadjusted)"),
        (133.3, 12.04, None, "a rate ratio of 130 (from 12 to unbounded, unadjusted)"),
    ],
)
def test_a_ratio_and_both_ends_of_its_interval_have_two_digits(
    ratio: float, low: float, high: float | None, said: str
) -> None:
    assert said in pair_sentence({**ROW, "ratio": ratio, "low": low, "high": high})
