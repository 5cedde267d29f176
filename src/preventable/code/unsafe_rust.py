"""What a Rust file holds of unsafe code, from its syntax tree (tree-sitter-rust), without building anything.

A *site* is an unsafe block or an unsafe impl. It is documented when a comment with ``SAFETY:`` (any case)
stands

* in the comment and attribute lines directly above the line of the site, or above the statement, field,
  match arm or item that holds it, or
* on the line of the site before it, or as the first thing inside the block.

*Lines inside unsafe* are lines of code (not blank, not only a comment) in unsafe blocks and in bodies of
unsafe functions; nested and overlapping ones count once.

Bodies of macros, both of definitions and of invocations, are token trees that only an expansion could make
sense of: what is written ``unsafe`` there is counted apart, by the token that follows.

A file that does not parse is indeterminate: its counts are unknown, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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

    def __add__(self, other: UnsafeCounts) -> UnsafeCounts:
        return UnsafeCounts(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )


COUNT_NAMES: tuple[str, ...] = UnsafeCounts.__struct_fields__


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
    (attribute_item (attribute) @attribute)
    (function_item (function_modifiers (extern_modifier))) @extern_function
    (token_tree "unsafe" @token)
    (token_repetition "unsafe" @token)
    (block_comment) @comment
    """,
)
_INTERESTING = re.compile(rb"\bunsafe\b|\bextern\b|no_mangle|export")
# Contextual keywords the grammar does not know yet; blanked, at the same length, for a second try.
_CONTEXTUAL = re.compile(rb"\bsafe(?=\s+(?:fn|static)\b)|\bauto(?=\s+trait\b)")
_EXPORTING = re.compile(rb"^\s*(?:unsafe\s*\(\s*)?(?:no_mangle|export_name|(?:\w+::)*export)\b")
_UNSAFE_ATTRIBUTE = re.compile(rb"^\s*unsafe\s*\(|\bunsafe\s*\(")
_SAFETY = re.compile(rb"safety:", re.IGNORECASE)
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
        self.covered: set[int] = set()
        self.comment_rows: set[int] = set()
        self.sites: list[UnsafeSite] = []

    def facts(self) -> RustFacts:
        for node in self.captures.get("comment", ()):
            self._note_comment(node)
        blocks = self.captures.get("block", [])
        for node in blocks:
            self._cover(node)
            self._site("block", node)
        impls = self.captures.get("impl", [])
        for node in impls:
            self._site("impl", node)
        functions = types = 0
        for node in self.captures.get("modifiers", ()):
            holder = node.parent
            if holder is None or holder.type == "function_type":
                types += 1
                continue
            functions += 1
            self._add("function", node)
            body = holder.child_by_field_name("body")
            if body is not None:
                self._cover(body)
        traits = self.captures.get("trait", [])
        for node in traits:
            self._add("trait", node)
        externs, unsafe_externs, foreign = self._extern_blocks()
        attributes, exported = self._attributes()
        for node in self.captures.get("token", ()):
            self._token(node)
        plain = [s for s in self.sites if not s.in_macro]
        macro = [s for s in self.sites if s.in_macro]
        counts = UnsafeCounts(
            unsafe_blocks=len(blocks),
            unsafe_functions=functions,
            unsafe_impls=len(impls),
            unsafe_traits=len(traits),
            unsafe_lines=sum(1 for row in self.covered if self._is_code(row)),
            safety_comments=sum(s.documented for s in plain),
            unsafe_externs=unsafe_externs,
            unsafe_attributes=attributes,
            unsafe_function_types=types,
            extern_blocks=externs,
            foreign_functions=foreign,
            exported_functions=exported,
            macro_unsafe_blocks=sum(s.kind == "block" for s in macro),
            macro_unsafe_functions=sum(s.kind == "function" for s in macro),
            macro_unsafe_impls=sum(s.kind == "impl" for s in macro),
            macro_unsafe_traits=sum(s.kind == "trait" for s in macro),
            macro_safety_comments=sum(s.documented for s in macro),
        )
        return RustFacts(counts, tuple(sorted(self.sites, key=lambda s: (s.line, s.kind))))

    def _add(self, kind: SiteKind, node: Node, *, documented: bool = False, in_macro: bool = False) -> None:
        row = node.start_point.row
        text = self.lines[row].strip()[:200].decode("utf-8", "replace")
        self.sites.append(UnsafeSite(kind, row + 1, in_macro, documented, text))

    def _cover(self, node: Node) -> None:
        self.covered.update(range(node.start_point.row, node.end_point.row + 1))

    def _note_comment(self, node: Node) -> None:
        """Rows that hold nothing but (part of) this block comment."""
        first, last = node.start_point, node.end_point
        for row in range(first.row, last.row + 1):
            line = self.lines[row]
            before = line[: first.column] if row == first.row else b""
            after = line[last.column :] if row == last.row else b""
            if not before.strip() and not after.strip():
                self.comment_rows.add(row)

    def _is_code(self, row: int) -> bool:
        text = self.lines[row].strip()
        return bool(text) and not text.startswith(b"//") and row not in self.comment_rows

    def _site(self, kind: SiteKind, node: Node) -> None:
        row, column = node.start_point.row, node.start_point.column
        documented = self._safety_above(row) or (b"*/" in self.lines[row][:column] and self._safety_in(row, column))
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

    def _safety_in(self, row: int, column: int) -> bool:
        return _SAFETY.search(self.lines[row][:column]) is not None

    def _safety_inside(self, row: int, column: int) -> bool:
        rest = self.lines[row][column:].lstrip()
        if not rest:
            following = row + 1
            while following < len(self.lines) and self._is_comment(following):
                if _SAFETY.search(self.lines[following]):
                    return True
                following += 1
            return False
        return rest.startswith((b"//", b"/*")) and _SAFETY.search(rest) is not None

    def _is_comment(self, row: int) -> bool:
        return self.lines[row].lstrip().startswith(b"//") or row in self.comment_rows

    def _safety_above(self, row: int) -> bool:
        above = row - 1
        while above >= 0 and (self._is_comment(above) or self.lines[above].lstrip().startswith(b"#[")):
            if self._is_comment(above) and _SAFETY.search(self.lines[above]):
                return True
            above -= 1
        return False

    def _extern_blocks(self) -> tuple[int, int, int]:
        externs = unsafe_externs = foreign = 0
        for node in self.captures.get("foreign", ()):
            body = node.child_by_field_name("body")
            if body is None:
                continue
            externs += 1
            foreign += sum(child.type == "function_signature_item" for child in body.named_children)
            if any(child.type == "unsafe" for child in node.children):
                unsafe_externs += 1
                self._add("extern", node)
        return externs, unsafe_externs, foreign

    def _attributes(self) -> tuple[int, int]:
        unsafe_attributes = 0
        exported: set[int] = set()
        for node in self.captures.get("attribute", ()):
            text = node.text or b""
            unsafe_attributes += _UNSAFE_ATTRIBUTE.search(text) is not None
            if _EXPORTING.search(text) and node.parent is not None:
                item = node.parent.next_named_sibling
                while item is not None and item.type in ("attribute_item", "line_comment", "block_comment"):
                    item = item.next_named_sibling
                if item is not None and item.type == "function_item":
                    exported.add(item.id)
        for node in self.captures.get("extern_function", ()):
            first = node.children[0]
            if first.type == "visibility_modifier" and first.text == b"pub":
                exported.add(node.id)
        return unsafe_attributes, len(exported)

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
            after = _next(following)
            if text == b"extern" and after is not None and after.type == "string_literal":
                after = _next(after)
            if text == b"extern" and after is not None and after.text == b"fn":
                after = _next(after)
            if after is not None and (after.type in ("identifier", "metavariable") or after.text == b"#"):
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


def _next(node: Node) -> Node | None:
    following = node.next_sibling
    while following is not None and following.type in ("line_comment", "block_comment"):
        following = following.next_sibling
    return following


def _first_error_line(root: Node) -> int:
    for node in _descend_to_errors(root):
        if node.is_error or node.is_missing:
            return int(node.start_point.row) + 1
    return 1


def _descend_to_errors(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        if child.has_error or child.is_error or child.is_missing:
            yield from _descend_to_errors(child)
