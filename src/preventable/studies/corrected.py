"""Shares with their labelling error: by the labels, corrected by an audit, and by the audit alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from preventable.classify.model import held_out_classes
from preventable.errors import InputError
from preventable.evidence.tables import Evidence
from preventable.records import Estimate
from preventable.stats.ppi import AUDIT_ALONE, F64, ppi_share, ppi_strata, ppi_weighted
from preventable.stats.prevalence import wilson
from preventable.studies.audit import Audited, read_merged
from preventable.studies.population import ALL, Period, Population, admitted_column, counted_column, period_column
from preventable.studies.share import default_cwes
from preventable.taxonomy.loader import Taxonomy

FRAME = "kernel_cna"
"""The feed from which the built-in audit was drawn."""


class CorrectedRow(msgspec.Struct, frozen=True):
    """One share three ways. ``audited`` counts the audit's records in it; ``reader_kind`` says who read."""

    methodology: str
    period: str
    raw: Estimate
    corrected: Estimate
    audit_only: Estimate | None
    """None where no record of the period was audited."""
    audited: int
    own_weight: float
    """How much of the correction is the period's own; 1 for the pooled row."""
    reader_kind: str


def corrected_share(
    population: Population,
    audit: Sequence[Audited],
    taxonomy: Taxonomy,
    *,
    methodologies: Iterable[str] | None = None,
    period: Period = "year",
    level: float = 0.95,
    held_out: Mapping[str, Sequence[str]] | None = None,
) -> list[CorrectedRow]:
    """Raw, corrected and audit-only share, pooled and per period.

    Pooled: PPI++ on the audited records of the population, weighted where the sample was drawn by strata. Per period:
    the correction is partially pooled (``stats.ppi.ppi_strata``). Within the records that the filters leave, a simple
    random sample stays one; so does one by strata within the periods, if all of its records there have one weight, else
    periods have no correction. Where the audit is too small to correct the labels, its exact interval is both
    ``corrected`` and ``audit_only``, and periods without an audited record have no row.

    Records that nobody has settled are taken to be like the settled ones of their stratum: these stand for all that the
    stratum's drawn records here, settled or not, stand for.

    weight_i = w_i * sum_drawn(w) / sum_settled(w)           over the stratum's records among those that are admitted

    The correction takes the labelling errors of audited records for those of the others. The model's labels of texts
    that it was trained on have next to none, so that for the records of which it was made the labels of fits that did
    not see them stand in, on both sides: the class that the fit gives which did not see the record, or the mean over
    all K fits where none saw it.

    theta = mean(y) + l * (mean_others(f_k(i)) - mean_audited(sum_k f_k / K))     adapted from cross-prediction

    ``raw`` keeps the labels as they are shown.

    Args:
        population: the records.
        audit: a random sample of a frame that contains the population; rows without a final class are left out, and
            rows that name a record again by another id.
        taxonomy: methodologies and classes.
        methodologies: ids; all when not given.
        period: length of a period.
        level: confidence level.
        held_out: classes by unseen fits, by id or alias; those of the model that ships when not given.
    Returns:
        Rows in order of methodology and period; none when fewer than two records of the population were audited.
    Raises:
        InputError: two rows name one record and have different final classes.
    Assumes: the audited records were drawn at random from records like these, blind to the labels; the folds were drawn
    by chance and hold about equally many of these records.
    Source: Zrnic and Candes 2024 (cross-prediction), who fold the audited records instead; Särndal, Swensson,
    Wretman 1992, chapter 15 (weights where a part of a sample gave no answer, by groups).
    """
    known_as = _known_as(population.records)
    settled = _by_record(audit, known_as)
    unsettled = _unsettled(audit, known_as, settled)
    final = {name: a.final for name, a in settled.items()}
    kinds = ", ".join(sorted({a.reader_kind for a in audit}))
    unseen = _by_unseen_fits(population.records, held_out_classes() if held_out is None else held_out)
    rows: list[CorrectedRow] = []
    for name in methodologies or taxonomy.methodologies:
        methodology = taxonomy.methodologies[name]
        counted = counted_column(methodology, default_cwes(taxonomy))
        frame = population.records.select("id", period_column(period), admitted_column(methodology), counted)
        admitted = frame["admitted"]
        frame = frame.filter(admitted)
        ids, periods = frame["id"].to_list(), frame["period"].to_list()
        shown = frame["counted"].cast(pl.Float64).to_numpy()
        f = unseen.group_by("record").agg(counted.mean()).sort("record")["counted"].filter(admitted).to_numpy()
        audited = np.array([i in final for i in ids], dtype=bool)
        if audited.sum() < 2:
            continue
        truth = np.array(
            [float(methodology.counts(final[i], taxonomy.cwe_of(final[i], None))) for i in ids if i in final]
        )
        here = _for_all_drawn([settled[i] for i in ids if i in settled], [unsettled[i] for i in ids if i in unsettled])
        corrected, alone = _pooled(here, truth, f[audited], f[~audited], level)
        rows.append(
            CorrectedRow(
                name, ALL, wilson(int(shown.sum()), len(shown), level=level), corrected, alone, len(truth), 1.0, kinds
            )
        )
        if period == ALL or not _one_weight_each([p for p, a in zip(periods, audited, strict=True) if a], here):
            continue
        inside = [p for p, a in zip(periods, audited, strict=True) if a]
        outside = [p for p, a in zip(periods, audited, strict=True) if not a]
        for stratum in ppi_strata(inside, truth, f[audited], outside, f[~audited], level=level):
            own = np.array([p == stratum.stratum for p in periods])
            mine = truth[np.array([p == stratum.stratum for p in inside], dtype=bool)]
            rows.append(
                CorrectedRow(
                    name,
                    stratum.stratum,
                    wilson(int(shown[own].sum()), int(own.sum()), level=level),
                    stratum.estimate,
                    _audit_only(stratum.estimate, mine, level) if len(mine) else None,
                    stratum.audited,
                    stratum.own_weight,
                    kinds,
                )
            )
    return rows


def _by_unseen_fits(records: pl.DataFrame, held_out: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Rows by ``record``, its number: one per class that a fit gave which had not seen it, else one as it stands.

    These fits never abstain, so that they speak where the model does. The CWE that rules add to a label of the model is
    left out of all, audited or not: both sides are to err alike.
    """
    numbered = records.with_row_index("record")
    if "model" not in records["label_source"]:
        return numbered
    named = zip(records["id"].to_list(), records["aliases"].to_list(), strict=True)
    unseen = [next((list(held_out[n]) for n in (i, *(aliases or ())) if held_out.get(n)), None) for i, aliases in named]
    model = pl.col("label_source") == "model"
    replaced = (model | (pl.col("label_source") == "none")) & pl.col("unseen").is_not_null()
    return (
        numbered.with_columns(pl.Series("unseen", unseen, dtype=pl.List(pl.String)))
        .with_columns(
            pl.when(replaced).then("unseen").otherwise(pl.concat_list("weakness")).alias("weakness"),
            pl.when(model | replaced).then(None).otherwise(pl.col("cwe")).alias("cwe"),
        )
        .explode("weakness")
    )


def _pooled(here: Sequence[Audited], truth: F64, f: F64, rest: F64, level: float) -> tuple[Estimate, Estimate]:
    """The corrected share of all records, and that of the audit alone."""
    if not any(a.weight for a in here):
        corrected = ppi_share(truth, f, rest, level=level)
        return corrected, _audit_only(corrected, truth, level)
    strata, weights = [a.stratum for a in here], [a.weight or 1.0 for a in here]
    alone = ppi_weighted(truth, f, strata, weights, [], level=level)
    return ppi_weighted(truth, f, strata, weights, rest, level=level) if len(rest) else alone, alone


def _audit_only(corrected: Estimate, truth: F64, level: float) -> Estimate:
    """The share among audited records: one interval for one thing, where the correction is their share already."""
    return corrected if corrected.method == AUDIT_ALONE else wilson(int(truth.sum()), len(truth), level=level)


def _for_all_drawn(here: Sequence[Audited], unsettled: Sequence[Audited]) -> list[Audited]:
    """Settled rows with the weight of the unsettled ones of their stratum on top; as they are for a simple draw."""
    if not unsettled or all(a.weight is None for a in here):
        return list(here)
    own, drawn = defaultdict[str, float](float), defaultdict[str, float](float)
    for sums, rows in ((own, here), (drawn, (*here, *unsettled))):
        for a in rows:
            sums[a.stratum] += a.weight or 1.0
    return [msgspec.structs.replace(a, weight=(a.weight or 1.0) * drawn[a.stratum] / own[a.stratum]) for a in here]


def _one_weight_each(periods: Sequence[str], here: Sequence[Audited]) -> bool:
    """Whether the audited records of each period stand for as many records as one another, but for rounding."""
    weights = [None if a.weight is None else f"{a.weight:.9g}" for a in here]
    return len(set(periods)) == len(set(zip(periods, weights, strict=True)))


def audit_remarks(evidence: Evidence, audit: Sequence[Audited], file: Path) -> list[str]:
    """What makes an audit table speak for these records less well than it could; empty where nothing does.

    Raises:
        InputError: it has no row, none of its ids is among the records, or two name one record and have different final
            classes.
    """
    if not audit:
        raise InputError(
            "the table is empty: no row below the header", file=str(file),
            hint="Fill in both readings and run preventable audit merge again",
        )  # fmt: skip
    known = _known_as(evidence.advisories)
    missing = [a.id for a in audit if a.id not in known]
    if len(missing) == len(audit):
        raise InputError(
            f"none of its {len(audit):,} ids is among the {evidence.advisories.height:,} records",
            file=str(file), hint="Was the sample drawn from these records?",
        )  # fmt: skip
    said = []
    if missing:
        said.append(f"{len(missing):,} of {len(audit):,} audited ids are not among these records, such as {missing[0]}")
    settled = _by_record(audit, known, file)
    if again := [a for a in audit if a.final and settled[known.get(a.id, a.id)] is not a]:
        other = settled[known.get(again[0].id, again[0].id)].id
        said.append(f"{len(again):,} audited ids name a record again and do not count, such as {again[0].id} ({other})")
    weighted = sum(a.weight is not None for a in audit)
    if unsettled := _unsettled(audit, known, settled):
        those = "the settled ones of their stratum" if weighted else "the others"
        said.append(
            f"{len(unsettled):,} of {len(audit):,} audited records are not settled, and {those} stand for them: "
            "the corrected and the audit's own share are biased if they differ from these"
        )
    speaking = [a for i, a in settled.items() if known.get(i) == i]
    if lost := sorted({a.stratum for a in unsettled.values()} - {a.stratum for a in speaking} - {""}):
        said.append(f"nothing is settled of {len(lost):,} strata, for which the others stand: {', '.join(lost[:8])}")
    if 0 < weighted < len(audit):
        said.append(f"{len(audit) - weighted:,} audited records have no weight where others do, and stand for one each")
    if len(speaking) < 2:
        said.append("fewer than two of its records are settled and among these records: nothing is corrected")
    return said


def uncorrected_periods(
    rows: Sequence[CorrectedRow], audit: Sequence[Audited], evidence: Evidence, period: Period
) -> str | None:
    """Why periods have no correction, and what to do; None where they have one or none was asked for.

    Args:
        rows: as ``corrected_share`` gave them for this audit and period.
    """
    wanted = {r.methodology for r in rows if r.period == ALL and period != ALL}
    if not (without := sorted(wanted - {r.methodology for r in rows if r.period != ALL})):
        return None
    published = evidence.advisories.select("id", date="published").select("id", period_column(period))
    periods = dict(published.iter_rows())
    known = _known_as(evidence.advisories)
    settled = _by_record(audit, known)
    unsettled = _unsettled(audit, known, settled)
    inside = [i for i in settled if i in periods]
    here = _for_all_drawn([settled[i] for i in inside], [unsettled[i] for i in unsettled if i in periods])
    which = "periods" if len(without) == len(wanted) else f"periods under {', '.join(without)}"
    said = f"{which} are not corrected, only the whole is: the audited records within one differ in weight"
    if _one_weight_each([periods[i] for i in inside], here):
        return f"{said}; by date of publication they do not, so add --by publication"
    return f"{said}; periods need a simple sample, or one drawn with --stratify year and shown with --by publication"


def fitting_audit(population: Population, taxonomy: Taxonomy) -> list[Audited]:
    """The built-in audit of Linux where all records are the kernel's own and some of its ids are here."""
    if not (population.records["feed"] == FRAME).all():
        return []
    built_in = read_merged(Path(str(files("preventable.data"))) / "audit" / "linux.csv", taxonomy)
    here = _known_as(population.records)
    return built_in if any(a.id in here for a in built_in) else []


def _by_record(audit: Sequence[Audited], known_as: Mapping[str, str], file: Path | None = None) -> dict[str, Audited]:
    """The settled rows by the id of their record; the first of those that name one record.

    Raises:
        InputError: two of them name one record and have different final classes.
    """
    found: dict[str, Audited] = {}
    for a in audit:
        if a.final and (first := found.setdefault(known_as.get(a.id, a.id), a)).final != a.final:
            raise InputError(
                f"{first.id} and {a.id} name one record, and their final classes differ: {first.final} and {a.final}",
                file=str(file) if file else None, field="final", hint="Keep one of the two rows",
            )  # fmt: skip
    return found


def _unsettled(
    audit: Sequence[Audited], known_as: Mapping[str, str], settled: Mapping[str, Audited]
) -> dict[str, Audited]:
    """The rows without a final class by the id of their record; none of records that another row settles."""
    found: dict[str, Audited] = {}
    for a in audit:
        if not a.final and (name := known_as.get(a.id)) is not None and name not in settled:
            found.setdefault(name, a)
    return found


def _known_as(records: pl.DataFrame) -> dict[str, str]:
    """Every id and alias, and the id of its record; an id goes before an alias."""
    named = records.select("id", pl.col("aliases").alias("alias")).explode("alias").drop_nulls()
    return dict(zip(named["alias"], named["id"], strict=True)) | {i: i for i in records["id"]}
