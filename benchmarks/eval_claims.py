"""Error and power of the claims' test under daily looks, with their 95% intervals.

    python benchmarks/eval_claims.py [RUNS]

Data are not drawn from the model alone: activity in waves and bursts, exposure growing smoothly or in jumps and known
only by stepwise snapshots, one to three records per fault, none of them merged.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy import stats

from preventable.stats.sequential import batches, e_process

DAYS, SNAPSHOT_DAYS, ALPHA = 1200, 63, 0.05
SETTINGS = (
    # true ratio, bound, growth a year, jumps, records per fault
    (0.50, 0.5, 0.0, False, 1), (0.50, 0.5, 0.6, False, 1), (0.50, 0.5, 0.0, True, 1), (0.75, 0.5, 0.6, False, 1),
    (0.50, 0.5, 0.0, False, 2), (0.50, 0.5, 0.0, False, 3), (0.50, 0.5, -0.3, False, 1),
    (0.05, 0.5, 0.6, False, 1), (0.05, 0.5, 1.5, False, 1), (2.00, 0.5, 0.6, False, 1),
)  # fmt: skip


def simulate(
    rng: np.random.Generator, theta: float, *, growth: float, jumps: bool, cluster: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    day = np.arange(DAYS)
    new = 0.02 * np.exp(growth * day / 365)
    if jumps:
        new = 0.02 * (1.0 + (day > 200) + 2 * (day > 500) + 3 * (day > 900))
    activity = 2.0 * (1 + np.sin(day / 30)) * rng.gamma(2.0, 0.5, DAYS)
    sizes = rng.integers(max(1, cluster - 1), cluster + 1, (2, DAYS))
    x, y = rng.poisson(activity * theta * new) * sizes[0], rng.poisson(activity) * sizes[1]
    return x, y, new[(day // SNAPSHOT_DAYS) * SNAPSHOT_DAYS]


def main(runs: int) -> None:
    print("ratio bound growth jumps records  supported  (95%)         robust  refuted  robust")
    for theta, bound, growth, jumps, cluster in SETTINGS:
        rng = np.random.default_rng(20240213)
        hits = np.zeros(4, dtype=int)
        for _ in range(runs):
            process = e_process(batches(*simulate(rng, theta, growth=growth, jumps=jumps, cluster=cluster)), bound)
            paths = (process.log_supports, process.log_supports_robust, process.log_refutes, process.log_refutes_robust)
            hits += [bool((path >= np.log(1 / ALPHA)).any()) for path in paths]
        interval = stats.binomtest(int(hits[0]), runs).proportion_ci(method="wilson")
        share = hits / runs
        print(
            f"{theta:5.2f} {bound:5.2f} {growth:6.1f} {jumps!s:5} {cluster:7}  {share[0]:9.3f}  "
            f"({interval.low:.3f}–{interval.high:.3f})  {share[1]:6.3f}  {share[2]:7.3f}  {share[3]:6.3f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
