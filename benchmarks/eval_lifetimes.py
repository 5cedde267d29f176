"""Lifetimes of Linux and curl beside the published table.

    python benchmarks/eval_lifetimes.py [CURL_OSV CURL_CLONE]

Linux comes from the embedded facts; curl needs its advisories and a clone, and is skipped loudly without.
"""

from __future__ import annotations

import sys
from pathlib import Path

from preventable.cli.study_inputs import labeller
from preventable.readers.case_file import parse_case
from preventable.studies.lifetimes import PUBLISHED, Group, Lifetimes, lifetimes
from preventable.studies.setting import EMBEDDED_CASE, Setting, read_inputs, setting_of, text_of
from preventable.taxonomy.loader import builtin


def measure(setting: Setting, feeds: list[str], repository: Path | None) -> Lifetimes:
    inputs = read_inputs(
        setting, Path(), feeds, labeller=labeller(Path()), methodologies=builtin().methodologies, repository=repository
    )
    return lifetimes(
        inputs.events.events, start=setting.regime_start, end=inputs.end, first_date=setting.first_date,
        releases=inputs.releases if repository is None else {}, by=("all",), name=setting.name,
    )  # fmt: skip


def line(name: str, row: Group) -> str:
    def show(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    figures = (row.naive_mean, row.naive_median, row.corrected_mean, row.corrected_median, row.corrected_low,
               row.corrected_high, row.exponential_mean, row.weibull_shape, row.tau)  # fmt: skip
    return f"{name:28}{row.dated:6}" + "".join(f"{show(v):>9}" for v in figures)


def main(*arguments: str) -> None:
    heads = ("naive", "median", "corr.", "median", "low", "high", "exp.", "shape", "tau")
    print(" " * 28 + "     n" + "".join(f"{head:>9}" for head in heads))
    linux = setting_of(parse_case(*text_of(EMBEDDED_CASE, Path())))
    print(line("Linux, fixes 2024-02 to", measure(linux, [], None).rows[0]))
    if len(arguments) == 2:
        result = measure(Setting(name="curl"), [arguments[0]], Path(arguments[1]))
        print(line("curl, all advisories", result.rows[0]))
    else:
        print("SKIPPED curl: give its OSV file and a clone")
    for row in PUBLISHED:
        print(f"{row['project']:28}      {row['mean_years']:9.2f}{row['median_years']:9.2f}  (published, naive)")


if __name__ == "__main__":
    main(*sys.argv[1:])
