"""Generated Rust whose unsafe items are known by construction is counted exactly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from preventable.code.unsafe_rust import measure_rust

ITEMS = {
    "unsafe fn f{n}() {{ g() }}": ("unsafe_functions", 0),
    "unsafe impl Send for A{n} {{}}": ("unsafe_impls", 0),
    "// SAFETY: fine\nunsafe impl Send for A{n} {{}}": ("unsafe_impls", 1),
    "unsafe trait T{n} {{}}": ("unsafe_traits", 0),
    "fn h{n}() {{\n    unsafe {{ g() }}\n}}": ("unsafe_blocks", 0),
    "fn k{n}() {{\n    // SAFETY: fine\n    unsafe {{ g() }}\n}}": ("unsafe_blocks", 1),
    "macro_rules! m{n} {{ () => {{ unsafe {{ g() }} }} }}": ("macro_unsafe_blocks", 0),
    "// unsafe {{ }}\nconst C{n}: &str = \"unsafe {{\";": (None, 0),
}  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(sorted(ITEMS)), max_size=25))
def test_counts_match_what_was_written(templates: list[str]) -> None:
    source = "\n\n".join(template.format(n=n) for n, template in enumerate(templates))
    counts = measure_rust(source.encode()).counts
    assert counts is not None
    for name in ("unsafe_functions", "unsafe_impls", "unsafe_traits", "unsafe_blocks", "macro_unsafe_blocks"):
        assert getattr(counts, name) == sum(ITEMS[t][0] == name for t in templates)
    assert counts.safety_comments == sum(ITEMS[t][1] for t in templates)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_any_bytes_give_counts_or_a_reason(source: bytes) -> None:
    facts = measure_rust(source)
    assert (facts.counts is None) == (facts.indeterminate is not None)
