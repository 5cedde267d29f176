from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from preventable.classify.model import BATCH, default_model, load_model
from preventable.errors import FormatError
from preventable.records import Advisory
from preventable.taxonomy.loader import UNKNOWN

KERNEL = "In the Linux kernel, the following vulnerability has been resolved:\n\n"
MODEL = Path(str(files("preventable.data"))) / "model" / "weakness.npz"


def record(title: str, text: str = "", **more: object) -> Advisory:
    return Advisory(id=f"X-{title[:8]}", feed="f", file="f", title=title, text=text, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("title", "text", "weakness"),
    [
        ("net: fix use-after-free in foo", "The timer still runs after the object was freed.", "temporal"),
        ("net: fix out-of-bounds read in foo", "The index is not checked against the array size.", "spatial"),
        ("net: fix NULL pointer dereference", "kzalloc() may return NULL.", "null"),
        ("net: fix memory leak in foo_probe()", "The buffer is not freed on the error path.", "leak"),
        ("net: fix deadlock", "WARNING: possible circular locking dependency detected", "deadlock"),
        ("fs: fix shift-out-of-bounds", "UBSAN: shift-out-of-bounds in fs/foo.c:3:2", "integer"),
        ("iio: avoid divide by zero", "The rate may be zero, which leads to a divide error.", "divide"),
    ],
)
def test_plain_cases_of_the_codebook(title: str, text: str, weakness: str) -> None:
    assert default_model().label(record(title, KERNEL + title + "\n\n" + text)).weakness == weakness


def test_reasons_name_the_words_that_decided() -> None:
    label = default_model().label(record("foo: fix use-after-free", KERNEL + "A use-after-free happens."))
    assert label.source == "model"
    words = [r for r in label.reasons[1:] if "use-after-free" in r.detail]
    assert words
    spans = [r.span for r in words if r.span is not None]
    assert spans
    assert all(s.end > s.start >= 0 for s in spans)


def test_probabilities_add_up_and_do_not_depend_on_company() -> None:
    model = default_model()
    records = [record(f"fix use after free {i}", "text " * i) for i in range(BATCH + 3)]
    p = model.probabilities(records)
    assert p.shape == (BATCH + 3, len(model.classes))
    assert np.allclose(p.sum(axis=1), 1, atol=1e-4)
    assert np.allclose(p[5], model.probabilities([records[5]])[0], atol=1e-5)
    assert model.probabilities([]).shape == (0, len(model.classes))


def test_a_text_without_known_words_is_unknown() -> None:
    for title, text in (("", ""), ("x", "y"), ("☃", "1234")):
        label = default_model().label(record(title, text))
        assert label.weakness == UNKNOWN
        assert label.source == "none"


@pytest.mark.parametrize(
    "words",
    [
        "button is green",
        "hello world",
        "lorem ipsum dolor sit amet",
        "The cat sat on the mat, it was a sunny afternoon",
    ],
)
def test_a_text_about_nothing_is_unknown(words: str) -> None:
    for title, text in ((words, ""), ("", words), (words, words + ".")):
        assert default_model().label(record(title, text)).weakness == UNKNOWN


def test_a_record_whose_text_says_that_it_was_rejected_is_unknown() -> None:
    found = default_model().predict(
        [record("foo: use after free", "** REJECT ** DO NOT USE. A duplicate of CVE-1990-1.")]
    )
    assert (found.labels[0].weakness, found.labels[0].source) == (UNKNOWN, "none")


def test_few_words_are_enough_when_they_tell() -> None:
    for words, weakness in (("buffer overflow", "spatial"), ("memory leak", "leak"), ("use after free", "temporal")):
        assert default_model().label(record(words)).weakness == weakness
        assert default_model().label(record("", words)).weakness == weakness


def test_the_class_agrees_with_the_chances_of_the_methodologies() -> None:
    texts = ["fix a race", "fix possible crash", "wait for the timer before free", "check the length", "improper input"]
    records = [record(f"net: {t}", f"{t} in foo()\n\nIt was found by review.") for t in texts]
    found = default_model().predict(records)
    for label, chance in zip(found.labels, found.methodologies["strict"], strict=True):
        strict = label.weakness in {"spatial", "temporal", "initialization", "type"}
        assert strict == (chance > 0.5)


@pytest.mark.parametrize(
    ("words", "strict", "broad", "weakness", "reason"),
    [
        ("memory leak", 0.1, 0.9, "leak", r"leak \d+%"),
        (
            "buffer overflow",
            0.4,
            0.9,
            UNKNOWN,
            r"no class is likely enough: spatial \d+%, but the chance of strict is 40%",
        ),
        ("buffer overflow", 0.6, 0.9, "spatial", r"spatial \d+%"),
        ("null pointer deref", 0.1, 0.3, UNKNOWN, r"no class .*: null \d+%, but the chance of broad is 30%"),
    ],
)
def test_a_class_that_only_its_tier_makes_likely_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, words: str, strict: float, broad: float, weakness: str, reason: str
) -> None:
    """The chances of the tiers are calibrated apart from those of the classes, and may point elsewhere."""
    chances = (np.array([strict], dtype=np.float32), np.array([broad], dtype=np.float32))
    monkeypatch.setattr("preventable.classify.model.tier_chances", lambda *_: chances)
    label = default_model().label(record(words))
    assert label.weakness == weakness
    assert re.fullmatch(reason, label.reasons[0].detail)


def test_only_title_and_text_count() -> None:
    """Blind to path, language, package, CWE and categories."""
    model = default_model()
    plain = record("foo: fix overflow", "text")
    dressed = record("foo: fix overflow", "text", files=("a.rs",), package="p", categories=("memory-corruption",))
    assert np.array_equal(model.probabilities([plain]), model.probabilities([dressed]))


def test_methodologies_are_probabilities_in_order_of_inclusion() -> None:
    found = default_model().predict([record("foo: fix race in bar", KERNEL + "Two writers race.")]).methodologies
    assert set(found) >= {"strict", "broad", "cwe-1399", "cisa", "openssf"}
    assert all(0 <= p[0] <= 1 for p in found.values())


@pytest.mark.parametrize("text", ["The button is green.", "Two writers race.", "A use after free.", "A NULL pointer."])
def test_a_methodology_is_never_less_likely_than_one_it_contains(text: str) -> None:
    """Each is calibrated alone, which by itself may turn the order of two near chances round."""
    model = default_model()
    found = model.predict([record("foo: fix bar", KERNEL + text)]).methodologies
    counted = {
        name: {c for c in model.classes if methodology.counts(c, model.taxonomy.cwe_of(c, None))}
        for name, methodology in model.taxonomy.methodologies.items()
    }
    pairs = [(a, b) for a in counted for b in counted if a != b and counted[a] <= counted[b]]
    assert ("strict", "broad") in pairs
    assert all(found[a][0] <= found[b][0] for a, b in pairs)


def test_size_and_vocabulary_keep_their_promises() -> None:
    assert MODEL.stat().st_size < 3_000_000
    model = default_model()
    numbers = (model.vocabulary.keys[:, None] >> np.array([32, 16, 0], dtype=np.uint64)) & np.uint64(0xFFFF)
    assert numbers.shape[1] == 3
    assert all(b" " not in w for w in model.words)
    # A joined term counts with its own words: none is longer than four, and those are names of faults.
    assert max(w.count(b"-") for w in model.words) <= 3


def test_loads_without_scikit_learn_or_scipy_sparse() -> None:
    code = (
        "import sys, time; import preventable.classify.model as m; m.default_model(); "
        "assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules, 'too much is loaded'"
    )
    src = str(Path(__file__).parents[3] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": src}, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr


def test_loading_is_quick() -> None:
    """Under 0.2 s of processor time; the wall clock belongs to the machine's other tenants."""
    began = time.process_time()
    load_model(MODEL)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not a model"):
        load_model(path)
