"""What a Rust file holds of unsafe code, from its syntax tree (tree-sitter-rust), without building anything.

A *site* is an unsafe block or an unsafe impl. It is documented when a line of a comment begins with ``SAFETY:`` (any
case)

* in the comment and attribute lines directly above the line of the site, or above the statement, field,
  match arm or item that holds it, or
* on the line of the site before it, or as the first thing inside the block.

*Lines inside unsafe* are lines of code (not blank, not only a comment) in unsafe blocks and in bodies of
unsafe functions; nested and overlapping ones count once.

Bodies of macros, both of definitions and of invocations, are token trees that only an expansion could make
sense of: what is written ``unsafe`` there is counted apart, by the token that follows.

*Test items* are those that only tests are built from: under ``#[cfg(test)]`` (also in ``all(...)``), ``#[test]``,
``#[bench]`` (also as a path, ``#[tokio::test]``) or ``#[kunit_tests(...)]``, with their attributes and documentation.
What they hold is in the counts of the file, and apart in ``tests``.

A file that does not parse is indeterminate: its counts are unknown, never zero.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
import tree_sitter_rust
from tree_sitter import Language, Node, Parser, Query, QueryCursor

SiteKind = Literal["block", "impl", "function", "trait", "extern"]


class UnsafeSite(msgspec.Struct, frozen=True, array_like=True):
    """One place where ``unsafe`` stands; ``line`` counts from 1."""

    kind: SiteKind
    line: int
    in_macro: bool
    documented: bool
    text: str = ""
    """The line it stands on, without indentation: what a baseline recognises it by."""


class UnsafeCounts(msgspec.Struct, frozen=True, array_like=True):
    """The counts of one file, or their sum over files. Everything in macro bodies is apart (``macro_*``)."""

    unsafe_blocks: int = 0
    unsafe_functions: int = 0
    """``unsafe fn`` with a name: free, associated, in a trait or in an extern block. Pointer types are not."""
    unsafe_impls: int = 0
    unsafe_traits: int = 0
    unsafe_lines: int = 0
    safety_comments: int = 0
    """Unsafe blocks and impls with a ``SAFETY:`` comment; of ``unsafe_blocks + unsafe_impls``."""
    unsafe_externs: int = 0
    """``unsafe extern`` blocks (edition 2024)."""
    unsafe_attributes: int = 0
    """``#[unsafe(...)]``."""
    unsafe_function_types: int = 0
    extern_blocks: int = 0
    foreign_functions: int = 0
    """Functions declared in extern blocks: what Rust calls elsewhere."""
    exported_functions: int = 0
    """Functions with ``no_mangle``, ``export_name`` or ``export``, or ``pub extern``: called from elsewhere."""
    macro_unsafe_blocks: int = 0
    macro_unsafe_functions: int = 0
    macro_unsafe_impls: int = 0
    macro_unsafe_traits: int = 0
    macro_safety_comments: int = 0
    tests: TestItems | None = None
    """The part of them in test items of one file; a sum has none."""

    def __add__(self, other: UnsafeCounts) -> UnsafeCounts:
        return UnsafeCounts(*(getattr(self, name) + getattr(other, name) for name in COUNT_NAMES))

    def __sub__(self, part: UnsafeCounts) -> UnsafeCounts:
        return UnsafeCounts(*(getattr(self, name) - getattr(part, name) for name in COUNT_NAMES))


COUNT_NAMES: tuple[str, ...] = UnsafeCounts.__struct_fields__[:-1]


class TestItems(msgspec.Struct, frozen=True, array_like=True):
    """What the test items of one file hold."""

    __test__ = False  # no test case, for pytest

    code: int
    comment: int
    blank: int
    counts: UnsafeCounts
    whole_file: bool = False
    """The file itself is under ``#![cfg(test)]``."""


class RustFacts(msgspec.Struct, frozen=True, array_like=True):
    """What one file holds; ``counts`` is None when it is indeterminate, with the reason."""

    counts: UnsafeCounts | None
    sites: tuple[UnsafeSite, ...] = ()
    indeterminate: str | None = None


_LANGUAGE = Language(tree_sitter_rust.language())
_PARSER = Parser(_LANGUAGE)
_QUERY = Query(
    _LANGUAGE,
    """
    (unsafe_block) @block
    (function_modifiers "unsafe") @modifiers
    (impl_item "unsafe") @impl
    (trait_item "unsafe") @trait
    (foreign_mod_item) @foreign
    (_ (attribute_item)) @attribute_holder
    (inner_attribute_item (attribute) @inner_attribute)
    (function_item (function_modifiers (extern_modifier))) @extern_function
    (token_tree "unsafe" @token)
    (token_repetition "unsafe" @token)
    (block_comment) @comment
    (line_comment) @comment
    (attribute_item) @attribute
    """,
)
_INTERESTING = re.compile(rb"\bunsafe\b|\bextern\b|no_mangle|export|\btest\s*[\]),]|\bbench\s*\]|kunit_tests")
# Contextual keywords the grammar does not know yet; blanked, at the same length, for a second try.
_CONTEXTUAL = re.compile(rb"\bsafe(?=\s+(?:fn|static)\b)|\bauto(?=\s+trait\b)")
_EXPORTING = re.compile(rb"^\s*(?:unsafe\s*\(\s*)?(?:no_mangle|export_name|(?:\w+::)*export)\b")
_UNSAFE_ATTRIBUTE = re.compile(rb"^\s*unsafe\s*\(|\bunsafe\s*\(")
_TEST_ATTRIBUTE = re.compile(rb"(?:(?:::\s*)?(?:\w+\s*::\s*)*)(?:test|bench|kunit_tests)\s*(?:\(.*\))?", re.DOTALL)
_LONGEST_ATTRIBUTE = 1000
_CFG = re.compile(rb"cfg\s*\((.*)\)", re.DOTALL)
_ALL = re.compile(rb"all\s*\((.*)\)", re.DOTALL)
_SAFETY = re.compile(rb"\s*(?:/[/*]+!?|\*+)?\s*safety\s*:", re.IGNORECASE)
"""At the beginning of a line of a comment: ``// Thread-safety: none`` is something else."""
_HOLDERS = frozenset(
    ("block", "declaration_list", "source_file", "match_block", "field_initializer_list", "enum_variant_list")
)


def measure_rust(source: bytes) -> RustFacts:
    """Unsafe code of one Rust file.

    Args:
        source: the file as it is on disk.
    Returns:
        RustFacts: counts and sites, or why they are unknown.
    Example:
        >>> facts = measure_rust(b"fn f(p: P) -> u8 {\\n    // SAFETY: p is valid.\\n    unsafe { *p }\\n}\\n")
        >>> facts.counts.unsafe_blocks, facts.counts.safety_comments, facts.counts.unsafe_lines
        (1, 1, 1)
        >>> measure_rust(b"fn f( {").indeterminate
        'does not parse (line 1)'
    """
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        return RustFacts(None, indeterminate=f"is not UTF-8 (byte {error.start})")
    root = _PARSER.parse(source).root_node
    if root.has_error:
        second = _CONTEXTUAL.sub(lambda m: b" " * len(m.group()), source)
        again = _PARSER.parse(second).root_node if second != source else root
        if again.has_error:
            line = _first_error_line(root)
            return RustFacts(None, indeterminate=f"does not parse (line {line})")
        root = again
    if not _INTERESTING.search(source):
        return RustFacts(UnsafeCounts())
    return _FileMeasure(source, root).facts()


class _FileMeasure:
    """One pass over the captures of one file."""

    def __init__(self, source: bytes, root: Node) -> None:
        self.lines = source.split(b"\n")
        self.captures = QueryCursor(_QUERY).captures(root)
        holders = {node.id: node for node in self.captures.get("attribute_holder", ())}
        self._attributed = [found for node in holders.values() for found in _attributed_items(node)]
        self.covered: set[int] = set()
        self.comment_rows: set[int] = set()
        """Rows that hold nothing but comments."""
        self.comments: dict[int, list[tuple[int, int]]] = {}
        """Where in a row comments begin and end."""
        self.attribute_rows = {
            row
            for node in self.captures.get("attribute", ())
            for row in range(node.start_point.row, node.end_point.row + 1)
        }
        self.sites: list[UnsafeSite] = []
        self.marks: list[tuple[str, int]] = []
        """What is counted, and the row it stands in."""

    def facts(self) -> RustFacts:
        for node in self.captures.get("comment", ()):
            self._note_comment(node)
        for node in self.captures.get("block", ()):
            self._cover(node)
            self._site("block", node)
        for node in self.captures.get("impl", ()):
            self._site("impl", node)
        for node in self.captures.get("modifiers", ()):
            holder = node.parent
            if holder is None or holder.type == "function_type":
                self._mark("unsafe_function_types", node)
                continue
            self._add("function", node)
            body = holder.child_by_field_name("body")
            if body is not None:
                self._cover(body)
        for node in self.captures.get("trait", ()):
            self._add("trait", node)
        self._extern_blocks()
        self._attributes()
        for node in self.captures.get("token", ()):
            self._token(node)
        for site in self.sites:
            row = site.line - 1
            where = "macro_" if site.in_macro else ""
            self.marks.append((f"{where}unsafe_{site.kind}s", row))
            if site.documented:
                self.marks.append((f"{where}safety_comments", row))
        self.marks += [("unsafe_lines", row) for row in self.covered if self._is_code(row)]
        counts = _counted(name for name, _ in self.marks)
        rows, whole = self._test_rows()
        if rows:
            blank = sum(not self.lines[row].strip() for row in rows)
            code = sum(self._is_code(row) for row in rows)
            part = _counted(name for name, row in self.marks if row in rows)
            counts = msgspec.structs.replace(
                counts, tests=TestItems(code, len(rows) - code - blank, blank, part, whole)
            )
        return RustFacts(counts, tuple(sorted(self.sites, key=lambda s: (s.line, s.kind))))

    def _test_rows(self) -> tuple[set[int], bool]:
        """Rows of test items, and whether that is the whole file."""
        rows: set[int] = set()
        last = len(self.lines) - (not self.lines[-1])
        for node in self.captures.get("inner_attribute", ()):
            if _is_test_attribute(node.text or b""):
                holder = node.parent.parent if node.parent else None
                if holder is not None and holder.type == "source_file":
                    return set(range(last)), True
                while holder is not None and not holder.type.endswith("_item"):
                    holder = holder.parent
                if holder is not None:
                    rows.update(range(holder.start_point.row, holder.end_point.row + 1))
        for first, texts, item in self._attributed:
            if any(_is_test_attribute(text) for text in texts):
                rows.update(range(first.start_point.row, item.end_point.row + 1))
        return {row for row in rows if row < last}, False

    def _mark(self, name: str, node: Node) -> None:
        self.marks.append((name, node.start_point.row))

    def _add(self, kind: SiteKind, node: Node, *, documented: bool = False, in_macro: bool = False) -> None:
        row = node.start_point.row
        text = self.lines[row].strip()[:200].decode("utf-8", "replace")
        self.sites.append(UnsafeSite(kind, row + 1, in_macro, documented, text))

    def _cover(self, node: Node) -> None:
        self.covered.update(range(node.start_point.row, node.end_point.row + 1))

    def _note_comment(self, node: Node) -> None:
        first, last = node.start_point, node.end_point
        for row in range(first.row, last.row + 1):
            line = self.lines[row]
            start = first.column if row == first.row else 0
            end = last.column if row == last.row else len(line)
            if start == end:
                continue  # a documentation comment ends where the next line begins
            self.comments.setdefault(row, []).append((start, end))
            if not line[:start].strip() and not line[end:].strip():
                self.comment_rows.add(row)

    def _is_code(self, row: int) -> bool:
        return bool(self.lines[row].strip()) and row not in self.comment_rows

    def _site(self, kind: SiteKind, node: Node) -> None:
        row, column = node.start_point.row, node.start_point.column
        documented = self._safety_above(row) or self._safety_in(row, column)
        if not documented and kind == "block":
            opening = node.children[-1].start_point
            documented = self._safety_inside(opening.row, opening.column + 1)
        if not documented:
            holder: Node | None = node
            while holder is not None and holder.parent is not None and holder.parent.type not in _HOLDERS:
                holder = holder.parent
            if holder is not None and holder.start_point.row != row:
                documented = self._safety_above(holder.start_point.row)
        self._add(kind, node, documented=bool(documented))

    def _says_safety(self, row: int, start: int, end: int) -> bool:
        return _SAFETY.match(self.lines[row][start:end]) is not None

    def _safety_in(self, row: int, column: int) -> bool:
        """On the row, before the column."""
        return any(end <= column and self._says_safety(row, start, end) for start, end in self.comments.get(row, ()))

    def _safety_inside(self, row: int, column: int) -> bool:
        """As the first thing behind the column, or alone in the rows that follow."""
        if self.lines[row][column:].strip():
            return any(
                start >= column and not self.lines[row][column:start].strip() and self._says_safety(row, start, end)
                for start, end in self.comments.get(row, ())
            )
        following = row + 1
        while following in self.comment_rows:
            if self._says_safety(following, 0, len(self.lines[following])):
                return True
            following += 1
        return False

    def _is_attribute(self, row: int) -> bool:
        """In macro bodies attributes are tokens: only those of one line can be told."""
        return row in self.attribute_rows or (row >= 0 and self.lines[row].lstrip().startswith(b"#["))

    def _safety_above(self, row: int) -> bool:
        above = row - 1
        while above in self.comment_rows or self._is_attribute(above):
            if above in self.comment_rows and self._says_safety(above, 0, len(self.lines[above])):
                return True
            above -= 1
        return False

    def _extern_blocks(self) -> None:
        for node in self.captures.get("foreign", ()):
            body = node.child_by_field_name("body")
            if body is None:
                continue
            self._mark("extern_blocks", node)
            for child in body.named_children:
                if child.type == "function_signature_item":
                    self._mark("foreign_functions", child)
            if any(child.type == "unsafe" for child in node.children):
                self._add("extern", node)

    def _attributes(self) -> None:
        exported: dict[int, Node] = {}
        for first, texts, item in self._attributed:
            for text in texts:
                if _UNSAFE_ATTRIBUTE.search(text):
                    self._mark("unsafe_attributes", first)
                if item.type == "function_item" and _EXPORTING.search(text):
                    exported[item.id] = item
        for node in self.captures.get("extern_function", ()):
            first = node.children[0]
            if first.type == "visibility_modifier" and first.text == b"pub":
                exported[node.id] = node
        for node in exported.values():
            self._mark("exported_functions", node)

    def _token(self, node: Node) -> None:
        """``unsafe`` in a macro body: what follows says what it is."""
        following = _next(node)
        if following is None:
            return
        text = following.text or b""
        kind: SiteKind | None = None
        if following.type == "token_tree" and text.startswith(b"{"):
            kind = "block"
        elif text in (b"impl", b"trait"):
            kind = "impl" if text == b"impl" else "trait"
        elif text in (b"fn", b"extern"):
            introducer: Node | None = following
            if text == b"extern":
                introducer = _next(following)
                if introducer is not None and introducer.type in ("string_literal", "metavariable"):
                    introducer = _next(introducer)
            name = _next(introducer) if introducer is not None and introducer.text == b"fn" else None
            if name is not None and (name.type in ("identifier", "metavariable") or name.text == b"#"):
                kind = "function"
        if kind is not None:
            row, column = node.start_point.row, node.start_point.column
            documented = kind in ("block", "impl") and (
                self._safety_above(row)
                or self._safety_in(row, column)
                or (
                    kind == "block" and self._safety_inside(following.start_point.row, following.start_point.column + 1)
                )
            )
            self._add(kind, node, documented=documented, in_macro=True)


def _counted(names: Iterable[str]) -> UnsafeCounts:
    found = Counter(names)
    return msgspec.convert([found[name] for name in COUNT_NAMES], UnsafeCounts)


def _attributed_items(holder: Node) -> Iterator[tuple[Node, list[bytes], Node]]:
    """Items with outer attributes among the children: where they begin with their documentation, the attributes, the
    item itself. One pass, since a tree is slow to ask for parents and siblings."""
    first: Node | None = None
    texts: list[bytes] = []
    for child in holder.named_children:
        if _belongs_to_next(child):
            first = first or child
            if child.type == "attribute_item":
                texts += [inner.text or b"" for inner in child.named_children if inner.type == "attribute"]
        elif child.type in ("line_comment", "block_comment"):
            first = first if texts else None
        else:
            if first is not None and texts:
                yield first, texts, child
            first, texts = None, []


def _belongs_to_next(node: Node) -> bool:
    return node.type == "attribute_item" or (node.type == "line_comment" and (node.text or b"").startswith(b"///"))


def _is_test_attribute(text: bytes) -> bool:
    """Is what an attribute stands before built for tests only?

    Example:
        >>> [_is_test_attribute(t) for t in (b"cfg(test)", b"cfg(all(unix, test))", b"tokio::test", b"kunit_tests(a)")]
        [True, True, True, True]
        >>> [_is_test_attribute(t) for t in (b"cfg(not(test))", b"cfg(any(test, unix))", b"cfg_attr(test, x)")]
        [False, False, False]
    """
    if len(text) > _LONGEST_ATTRIBUTE:
        return False
    text = text.strip()
    if _TEST_ATTRIBUTE.fullmatch(text):
        return True
    found = _CFG.fullmatch(text)
    return found is not None and _only_tests(found.group(1))


def _only_tests(condition: bytes) -> bool:
    condition = condition.strip().removesuffix(b",").rstrip()
    if condition == b"test":
        return True
    found = _ALL.fullmatch(condition)
    if found is None:
        return False
    parts, depth, start = [], 0, 0
    inside = found.group(1)
    for at, byte in enumerate(inside):
        depth += (byte == ord("(")) - (byte == ord(")"))
        if byte == ord(",") and depth == 0:
            parts.append(inside[start:at])
            start = at + 1
    return any(_only_tests(part) for part in (*parts, inside[start:]))


def _next(node: Node) -> Node | None:
    following = node.next_sibling
    while following is not None and following.type in ("line_comment", "block_comment"):
        following = following.next_sibling
    return following


def _first_error_line(root: Node) -> int:
    waiting = [root]
    while waiting:  # no recursion: the tree may be deep
        node = waiting.pop()
        if node.is_error or node.is_missing:
            return int(node.start_point.row) + 1
        waiting += [c for c in reversed(node.children) if c.has_error or c.is_error or c.is_missing]
    return 1
