"""The label of a record: from a specific CWE where one is given, else from its text.

Everything that labels follows ``TextLabeller``; a learned model is one more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from preventable.classify.model import default_model
from preventable.classify.text_rules import label_by_rules
from preventable.records import Advisory, CweClaim, Label, LabelReason
from preventable.taxonomy.loader import UNKNOWN, Taxonomy

TextLabeller = Callable[[Sequence[Advisory]], Sequence[Label]]
"""Labels by the texts of records alone, never by their path, language or CWE."""


class Labels(msgspec.Struct, frozen=True):
    """Both labels of a record. A specific CWE decides; the text does where there is none."""

    by_cwe: Label
    by_text: Label

    @property
    def standing(self) -> Label:
        """The label that stands."""
        return self.by_cwe if self.by_cwe.weakness != UNKNOWN else self.by_text


PRECEDENCE: tuple[str, ...] = (
    "temporal", "spatial", "initialization", "type", "null", "divide", "integer", "injection", "path",
    "crypto", "side-channel", "access-control", "exposure", "deadlock", "leak", "exhaustion", "race", "hardware",
    "configuration", "assertion", "error-handling", "logic", "other",
)  # fmt: skip
"""Which class stands when several CWEs decide differently: the codebook's order."""


OUTWEIGHED = "a specific CWE decides"
"""Why a text does not decide where it says a class."""


class ClaimedClass(msgspec.Struct, frozen=True):
    """What one CWE claim says of a record's class, whether it decides or not."""

    cwe: int
    said_by: str
    weakness: str | None
    """None where the CWE is vague or not in the map."""
    why_not: str | None
    """Why the claim does not decide among the record's CWEs; None where it does."""


def claimed_classes(claims: Sequence[CweClaim], taxonomy: Taxonomy) -> list[ClaimedClass]:
    """Every claim with the class that it says; those that decide go first, else the order stays.

    Example:
        >>> from preventable.taxonomy.loader import builtin
        >>> claims = (CweClaim(20, "cna"), CweClaim(476, "cna"), CweClaim(787, "adp"))
        >>> [(c.cwe, c.weakness, c.why_not) for c in claimed_classes(claims, builtin())]
        [(787, 'spatial', None), (20, None, 'vague'), (476, 'null', 'spatial goes before null')]
    """
    told = [(claim, taxonomy.class_of_cwe(claim.cwe)) for claim in claims]
    best = min((weakness for _, weakness in told if weakness), key=PRECEDENCE.index, default=None)
    found = []
    for claim, weakness in told:
        why_not = None
        if weakness is None:
            why_not = "vague" if taxonomy.knows_cwe(claim.cwe) else "not in the map"
        elif weakness != best:
            why_not = f"{best} goes before {weakness}"
        found.append(ClaimedClass(claim.cwe, claim.said_by, weakness, why_not))
    return sorted(found, key=lambda one: one.why_not is not None)


def label_by_cwe(advisory: Advisory, taxonomy: Taxonomy) -> Label:
    """The class of the record's specific CWEs; ``unknown`` when it has none or only vague ones.

    The reasons are the claims that decide; ``claimed_classes`` has all of them.

    Example:
        >>> from preventable.records import CweClaim
        >>> from preventable.taxonomy.loader import builtin
        >>> record = Advisory(id="X", feed="f", file="f", cwes=(CweClaim(20, "cna"), CweClaim(416, "adp")))
        >>> label_by_cwe(record, builtin()).weakness
        'temporal'
    """
    deciding = [c for c in claimed_classes(advisory.cwes, taxonomy) if c.why_not is None] if advisory.cwes else []
    if not deciding or deciding[0].weakness is None:
        return Label(advisory.id, UNKNOWN, "none")
    reasons = tuple(LabelReason("cwe", f"CWE-{c.cwe}", c.said_by) for c in deciding)
    return Label(advisory.id, deciding[0].weakness, "cwe", deciding[0].cwe, reasons)


def label_by_text(advisories: Sequence[Advisory]) -> list[Label]:
    """What the texts alone say: the model's class, and the rules' words and CWE where they agree with it."""
    labels = []
    for advisory, label in zip(advisories, default_model()(advisories), strict=True):
        by_rules = label_by_rules(advisory) if label.weakness != UNKNOWN else label
        if by_rules is not label and by_rules.weakness == label.weakness:
            labels.append(msgspec.structs.replace(label, cwe=by_rules.cwe, reasons=(*by_rules.reasons, *label.reasons)))
        else:
            labels.append(label)
    return labels


def label_records(
    advisories: Sequence[Advisory], taxonomy: Taxonomy, by_text: TextLabeller = label_by_text
) -> list[Labels]:
    """Per record, in order, what its CWEs say, what its text says, and which stands."""
    return [
        Labels(label_by_cwe(advisory, taxonomy), text)
        for advisory, text in zip(advisories, by_text(advisories), strict=True)
    ]


def unknown_cwes(advisories: Sequence[Advisory], taxonomy: Taxonomy) -> dict[int, int]:
    """CWE ids that the map does not know, with how many records name them."""
    counts: dict[int, int] = {}
    for advisory in advisories:
        for claim in advisory.cwes:
            if not taxonomy.knows_cwe(claim.cwe):
                counts[claim.cwe] = counts.get(claim.cwe, 0) + 1
    return dict(sorted(counts.items()))
