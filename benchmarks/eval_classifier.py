"""How good the text model is, per project, with intervals.

    preventable train advisories-dev.jsonl.zst --out model.npz --held-out held-out.csv
    python benchmarks/eval_classifier.py advisories-dev.jsonl.zst [--model model.npz] --held-out held-out.csv [--audit]

Kernel readings, older kernel CVEs, RustSec and CISA records are judged on predictions of folds that did not see them,
calibrated on the other folds; curl was never trained on (``curl-reading.csv`` beside this file is the truth: read by a
model, from titles where they say it).
``--audit`` judges the audit sample, which trained and inspired nothing:
look once, at the end. Intervals are bootstrap percentiles (2,000 resamples of records, seed 1).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Set
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from preventable.classify.examples import BROAD, CLASSES, STRICT, Reading, read_rows, readings
from preventable.classify.model import default_model, held_out_classes, load_model
from preventable.records import Advisory
from preventable.stats.agreement import cohens_kappa
from preventable.studies.corrected import corrected_share, fitting_audit
from preventable.studies.embedded import load_facts
from preventable.studies.population import select
from preventable.taxonomy.loader import builtin

F64 = npt.NDArray[np.float64]
RESAMPLES = 2000
OTHERS = ("disagreed", "below 0.05", "0.05 to 0.2", "0.2 to 0.8", "0.8 to 0.95", "0.95 or more")
"""Strata of the readings of other projects: CISA's CWE and the model disagreed, else by the strict chance."""
HERE = Path(__file__).parent


def f1(y: F64, p: F64, w: F64) -> float:
    found = p > 0.5
    both = float((w * y * found).sum())
    return 2 * both / float((w * y).sum() + (w * found).sum()) if both else 0.0


def brier(y: F64, p: F64, w: F64) -> float:
    return float(np.average((p - y) ** 2, weights=w))


def slope(y: F64, p: F64, w: F64) -> float:
    inside = np.clip(p, 1e-4, 1 - 1e-4)
    logit = np.log(inside / (1 - inside))

    def loss(ab: F64) -> float:
        z = ab[0] * logit + ab[1]
        return float(np.average(np.logaddexp(0, z) - y * z, weights=w))

    return float(minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x[0])


def interval(
    measure: Callable[[F64, F64, F64], float], y: F64, p: F64, stands_for: F64, resamples: int = RESAMPLES
) -> str:
    """The measure and its bootstrap interval; drawn anew within each stratum, whose records stand for as many each."""
    rng = np.random.default_rng(1)
    strata = [np.flatnonzero(stands_for == w) for w in np.unique(stands_for)]
    draws = (np.concatenate([rng.choice(of, len(of)) for of in strata]) for _ in range(resamples))
    values = [measure(y[i], p[i], stands_for[i]) for i in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{measure(y, p, stands_for):.3f} ({low:.3f} to {high:.3f})"


def report(name: str, y: F64, p: F64, stands_for: F64 | None = None) -> None:
    w = np.ones(len(y)) if stands_for is None else stands_for
    wrong_yes, wrong_no = int(((p > 0.5) & (y == 0)).sum()), int(((p <= 0.5) & (y == 1)).sum())
    print(
        f"| {name} | {len(y)} | {interval(f1, y, p, w)} | {interval(brier, y, p, w)} | {interval(slope, y, p, w, 200)} "
        f"| {wrong_yes} / {wrong_no} |"
    )


def calibration_curve(y: F64, p: F64) -> None:
    print("\n| predicted chance | records | mean predicted | share true |\n|---|---|---|---|")
    for low in np.arange(0, 1, 0.2):
        inside = (p >= low) & ((p < low + 0.2) | (low > 0.79))
        if inside.any():
            print(
                f"| {low:.1f} to {low + 0.2:.1f} | {inside.sum()} | {p[inside].mean():.2f} | {y[inside].mean():.2f} |"
            )


def rust(held: list[dict[str, str]], cats: dict[str, tuple[str, ...] | None]) -> None:
    """RustSec by its own categories, on folds, halves apart: rules were written with the first half in view."""
    every = [h for h in held if h["source"] == "rustsec"]
    second = {h["id"] for h in every if hashlib.sha256(h["id"].encode()).digest()[0] % 2}
    for name, wanted, column in (
        ("RustSec category memory-corruption", {"memory-corruption"}, "strict"),
        ("RustSec memory-corruption or -exposure", {"memory-corruption", "memory-exposure"}, "strict"),
        ("RustSec these or thread-safety", {"memory-corruption", "memory-exposure", "thread-safety"}, "broad"),
    ):
        for which, chosen in (
            ("", every),
            (", records with any category", [h for h in every if cats[h["id"]]]),
            (", with any category, untouched half", [h for h in every if cats[h["id"]] and h["id"] in second]),
        ):
            y = np.array([float(not wanted.isdisjoint(cats[h["id"]] or ())) for h in chosen])
            report(f"{name}{which}: {column}", y, np.array([float(h[column]) for h in chosen]))


def by_other_readings(held: list[dict[str, str]], column: str, group: Set[str]) -> None:
    """The same predictions where second readings count, and without the records whose two readings differ."""
    for name, truth, chosen in (
        ("second readings where there are any", lambda h: h["second"] or h["truth"], held),
        ("no two readings differ", lambda h: h["truth"], [h for h in held if h["second"] in ("", h["truth"])]),
    ):
        y = np.array([float(truth(h) in group) for h in chosen])
        report(f"the same, {name}: {column}", y, np.array([float(h[column]) for h in chosen]))


def hardness(held: list[dict[str, str]]) -> None:
    """How hard the kernel records are that were picked in each way: a sample of few hard ones would be too kind."""
    print("\n| picked for reading | records | strict chance between 0.1 and 0.9 |\n|---|---|---|")
    kernel = [h for h in held if h["source"] == "kernel"]
    for name in ("random", "uncertain", "mixed", "rest", "all"):
        of = [h for h in kernel if name in (h["drawn"], "all")]
        print(f"| {name} | {len(of)} | {share(sum(0.1 < float(h['strict']) < 0.9 for h in of), len(of))} |")


def corrected() -> None:
    """The kernel's share by the model that ships, corrected by the audit: with labels of unseen fits, and as shown.

    Beside it what all readings say together, the audit's among them: every record of the feed was read once at least.
    """
    population, taxonomy = select(load_facts()), builtin()
    audit, fits = fitting_audit(population, taxonomy), held_out_classes()
    everything = readings() | {a.id: Reading(a.final, "audit") for a in audit}
    read = [everything[i].weakness for i in population.records["id"] if i in everything]
    print(
        "\n| methodology | corrected by unseen fits | with the labels as shown | audited, counted by each fit "
        "| all readings |\n|---|---|---|---|---|"
    )
    for name in ("strict", "broad"):
        cells = []
        for held_out in (fits, {}):
            (row,) = corrected_share(population, audit, taxonomy, methodologies=[name], period="all", held_out=held_out)
            cells.append(f"{row.corrected.value:.3f} ({row.corrected.low:.3f} to {row.corrected.high:.3f})")
        group = taxonomy.methodologies[name].classes
        counts = [sum(c in group for c in column) for column in zip(*(fits[a.id] for a in audit), strict=True)]
        everywhere = sum(c in group for c in read)
        print(
            f"| {name} | {' | '.join(cells)} | {', '.join(map(str, counts))} of {len(audit)} "
            f"| {everywhere} of {len(read)} ({everywhere / len(read):.3f}) |"
        )


def classes(held: list[dict[str, str]]) -> None:
    """Precision and recall of every class, and the pairs that are most often confused, on all kernel readings."""
    chosen = [h for h in held if h["source"] == "kernel"]
    pairs = Counter((h["truth"], h["predicted"]) for h in chosen)
    print("\n| class | read | given | precision | recall | most often taken for |\n|---|---|---|---|---|---|")
    for name in CLASSES:
        read = sum(n for (t, _), n in pairs.items() if t == name)
        said = sum(n for (_, p), n in pairs.items() if p == name)
        if read + said:
            taken = sorted(((n, p) for (t, p), n in pairs.items() if t == name and p != name), reverse=True)[:3]
            others = ", ".join(f"{p} {n}" for n, p in taken)
            right = pairs[name, name]
            print(f"| `{name}` | {read} | {said} | {share(right, said)} | {share(right, read)} | {others} |")
    right = sum(n for (t, p), n in pairs.items() if t == p)
    print(f"\nThe exact class is right in {right} of {len(chosen)} ({right / max(len(chosen), 1):.3f}).")


def agreement() -> None:
    """How often the first and the second, blind reading of one record agree, with Cohen's kappa."""
    read = {k: r for k, r in readings().items() if r.second is not None}
    print("\n| read twice | records | same class | kappa | strict: same | kappa | broad: same | kappa |")
    print("|---|---|---|---|---|---|---|---|")
    groups = (("kernel, picked as hard", ("uncertain", "mixed")), ("kernel, others", ("random", "rest")))
    for name, drawn in (*groups, ("other projects", OTHERS)):
        pairs = [(r.weakness, r.second or "") for r in read.values() if r.drawn in drawn]
        cells = []
        for told in (
            pairs,
            [(str(a in STRICT), str(b in STRICT)) for a, b in pairs],
            [(str(a in BROAD), str(b in BROAD)) for a, b in pairs],
        ):
            found = cohens_kappa([a for a, _ in told], [b for _, b in told])
            same = sum(a == b for a, b in told) / len(told)
            cells.append(f"{same:.3f} | {found.kappa.value:.3f} ({found.kappa.low:.3f} to {found.kappa.high:.3f})")
        print(f"| {name} | {len(pairs)} | {' | '.join(cells)} |")


def share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the text model.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--audit", action="store_true", help="also the audit sample: once, at the end")
    given = parser.parse_args()
    model = load_model(given.model) if given.model else default_model()
    rows, _ = read_rows(given.data)
    print("| sample | n | F1 | Brier | calibration slope | false yes / no |\n|---|---|---|---|---|---|")
    kernel: tuple[F64, F64] | None = None
    if given.held_out:
        held = list(csv.DictReader(given.held_out.read_text(encoding="utf-8").splitlines()))
        for name, source, drawn in (
            ("kernel readings, all but the audit, folds", "kernel", ("random", "uncertain", "mixed", "rest")),
            ("kernel readings, picked as hard, folds", "kernel", ("uncertain", "mixed")),
            ("older kernel CVEs, specific NVD labels, folds", "nluedtke", ("all",)),
            ("RustSec readings, folds", "rustsec", ("random",)),
            ("readings of other projects, weighted by strata, folds", "vr", OTHERS),
            ("the same, but those whose CWE and label disagreed", "vr", OTHERS[1:]),
            ("CISA, not kernel, specific CWEs (noisy), folds", "vr", ("all",)),
        ):
            chosen = [h for h in held if h["source"] == source and h["drawn"] in drawn]
            for column, group in (("strict", STRICT), ("broad", BROAD)):
                y = np.array([float(h["truth"] in group) for h in chosen])
                p = np.array([float(h[column]) for h in chosen])
                report(f"{name}: {column}", y, p, np.array([float(h["stands_for"]) for h in chosen]))
                if source == "kernel" and "rest" in drawn:
                    by_other_readings(chosen, column, group)
                    if column == "strict":
                        kernel = (y, p)

    def predicted(source: str, ids: set[str]) -> tuple[list[str], dict[str, F64]]:
        seen: set[str] = set()
        records = []
        for row in rows:
            if row.source == source and row.id in ids and row.id not in seen:
                seen.add(row.id)
                # curl's advisories tell whether a fault is a "C mistake": that would be a leak of the answer.
                text = "\n\n".join(part for part in row.text.split("\n\n") if "C mistake" not in part)
                records.append(Advisory(row.id, "", "", row.title, text))
        chances = model.predict(records, reasons=0).methodologies
        return [r.id for r in records], {name: p.astype(np.float64) for name, p in chances.items()}

    if given.held_out:
        read = {h["id"]: h["truth"] for h in held if h["source"] == "kernel"}
        ids, chances = predicted("kernel", set(read))
        for column, group in (("strict", STRICT), ("broad", BROAD)):
            y = np.array([float(read[i] in group) for i in ids])
            report(
                f"kernel readings, by the model that they trained (no measure of accuracy): {column}",
                y,
                chances[column],
            )

    truth = {r["id"]: r for r in csv.DictReader((HERE / "curl-reading.csv").read_text(encoding="utf-8").splitlines())}
    ids, chances = predicted("curl", set(truth))
    for column in ("strict", "broad"):
        report(
            f"curl, never seen: {column}", np.array([float(truth[i][column] == "yes") for i in ids]), chances[column]
        )
    if given.held_out:
        rust(held, {r.id: r.cats for r in rows if r.source == "rustsec"})
        classes(held)
        hardness(held)
    agreement()
    if given.model is None:
        corrected()
    if given.audit:
        from importlib.resources import files  # noqa: PLC0415  (only when asked for)

        text = files("preventable.data").joinpath("audit/linux.csv").read_text(encoding="utf-8")
        audit = {r["id"]: r for r in csv.DictReader(text.splitlines())}
        ids, chances = predicted("kernel", set(audit))
        for column, group in (("strict", STRICT), ("broad", BROAD)):
            y = np.array([float(audit[i]["final"] in group) for i in ids])
            report(f"kernel audit (read by models): {column}", y, chances[column])
            clear = np.array([audit[i]["ambiguous"] == "no" for i in ids])
            report(f"kernel audit, unambiguous only: {column}", y[clear], chances[column][clear])
    if kernel is not None:
        calibration_curve(*kernel)


if __name__ == "__main__":
    main()
