"""Cohen's kappa against published examples."""

from __future__ import annotations

import numpy as np
import pytest

from preventable.records import Estimate
from preventable.stats.agreement import agreement_of_table


def test_skin_condition_of_the_sas_manual() -> None:
    """SAS/STAT, The FREQ Procedure, "Cohen's Kappa Coefficient": two dermatologists, 88 patients."""
    table = np.array([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]])
    kappa = agreement_of_table(table, ("terrible", "poor", "marginal", "clear")).kappa
    assert isinstance(kappa, Estimate)
    assert kappa.value == pytest.approx(0.3449, abs=5e-5)
    assert (kappa.low, kappa.high) == (pytest.approx(0.2030, abs=5e-5), pytest.approx(0.4868, abs=5e-5))
    assert (kappa.numerator, kappa.denominator) == (45, 88)


def test_diagnoses_of_fleiss_levin_paik() -> None:
    """Fleiss, Levin, Paik 2003, table 18.1: 100 subjects, three diagnoses, kappa 0.68, standard error 0.087."""
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    found = agreement_of_table(table, ("psychotic", "neurotic", "organic"))
    assert isinstance(found.kappa, Estimate)
    assert (found.observed, found.expected) == (pytest.approx(0.89), pytest.approx(0.66))
    assert found.kappa.value == pytest.approx(0.676, abs=5e-4)
    standard_error = (found.kappa.value - found.kappa.low) / 1.959964
    assert standard_error == pytest.approx(0.087, abs=1e-3)
    assert isinstance(found.kappa_bootstrap, Estimate)
    assert found.kappa_bootstrap.low == pytest.approx(found.kappa.low, abs=0.05)
