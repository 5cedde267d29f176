"""The label of a record: from a specific CWE where one is given, else from its text.

Everything that labels follows ``TextLabeller``; a learned model is one more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from preventable.classify.model import default_model
from preventable.classify.text_rules import label_by_rules
from preventable.records import Advisory, Label, LabelReason
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


def label_by_cwe(advisory: Advisory, taxonomy: Taxonomy) -> Label:
    """The class of the record's specific CWEs; ``unknown`` when it has none or only vague ones.

    Example:
        >>> from preventable.records import CweClaim
        >>> from preventable.taxonomy.loader import builtin
        >>> record = Advisory(id="X", feed="f", file="f", cwes=(CweClaim(20, "cna"), CweClaim(416, "adp")))
        >>> label_by_cwe(record, builtin()).weakness
        'temporal'
    """
    decided = [(c, weakness) for c in advisory.cwes if (weakness := taxonomy.class_of_cwe(c.cwe)) is not None]
    if not decided:
        return Label(advisory.id, UNKNOWN, "none")
    best = min(decided, key=lambda pair: PRECEDENCE.index(pair[1]))[1]
    claims = [claim for claim, weakness in decided if weakness == best]
    reasons = tuple(LabelReason("cwe", f"CWE-{c.cwe}", c.said_by) for c in claims)
    return Label(advisory.id, best, "cwe", claims[0].cwe, reasons)


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
