"""Survival of lines: hand-made cohorts with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from preventable.studies.line_survival import at_risk, half_point, survival_curve


def test_cohorts_are_at_risk_from_the_end_of_their_own_quarter() -> None:
    alive = np.array([[100, 0], [80, 50], [40, 50]])
    risk, lost = at_risk(alive, 0)
    assert risk.tolist() == [[100, 80], [50, 0]]
    assert lost.tolist() == [[20, 40], [0, 0]]
    assert survival_curve(risk, lost) == pytest.approx([1.0, 130 / 150, 130 / 150 * 0.5])


def test_lines_that_a_late_merge_brings_are_not_lost_lines() -> None:
    risk, lost = at_risk(np.array([[10], [12], [6]]), 0)
    assert lost.tolist() == [[0, 6]]
    assert risk.tolist() == [[10, 12]]


def test_cohorts_older_than_the_first_snapshot_start_there() -> None:
    risk, _ = at_risk(np.array([[10, 5], [10, 5]]), 1)
    assert risk.tolist() == [[10], [5]]


def test_half_is_reached_between_two_quarters_or_never() -> None:
    assert half_point(np.array([1.0, 0.75, 0.25])) == pytest.approx(1.5)
    assert half_point(np.array([1.0, 0.9])) is None


def test_exponential_decay_has_its_half_life() -> None:
    rate = 0.05
    series = np.round(1e6 * np.exp(-rate * np.arange(40))).astype(np.int64)[:, None]
    half = half_point(survival_curve(*at_risk(series, 0)))
    assert half == pytest.approx(np.log(2) / rate, rel=0.01)
