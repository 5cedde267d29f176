"""The language of a path by its name alone: a replay sees every path that ever was, but not its content.

The names are those of the census; a header counts as ``C Header`` unless its name says C++. Paths of no known
name are ``other``.
"""

from __future__ import annotations

OTHER = "other"

_BY_SUFFIX: dict[str, str] = {
    suffix: language
    for language, suffixes in {
        "Ada": "adb ads",
        "Assembly": "s asm nasm",
        "Autoconf": "ac m4 in",
        "BASIC": "bas",
        "Batch": "bat btm cmd",
        "C": "c pgc",
        "C Header": "h",
        "C#": "cs",
        "C++": "cc cpp cxx c++ cppm ixx",
        "C++ Header": "hh hpp hxx h++ inl ipp tcc",
        "CMake": "cmake",
        "COBOL": "cob cbl",
        "CSS": "css",
        "D": "d",
        "Dart": "dart",
        "Device Tree": "dts dtsi",
        "Elixir": "ex exs",
        "Emacs Lisp": "el",
        "Erlang": "erl hrl",
        "Fortran Modern": "f90 f95 f03 f08",
        "Go": "go",
        "HTML": "html htm",
        "Haskell": "hs",
        "JSON": "json",
        "Java": "java",
        "JavaScript": "js mjs cjs",
        "Julia": "jl",
        "Kotlin": "kt kts",
        "LaTeX": "tex",
        "Lua": "lua",
        "Makefile": "mk mak am make",
        "Markdown": "md markdown",
        "Meson": "meson",
        "Nix": "nix",
        "OCaml": "ml mli",
        "Objective-C": "m",
        "Objective-C++": "mm",
        "PHP": "php",
        "Perl": "pl pm plx t",
        "PowerShell": "ps1 psm1",
        "Protocol Buffers": "proto",
        "Python": "py pyi pyw",
        "R": "r",
        "ReStructuredText": "rst",
        "Roff": "1 3 5 7 8 man",
        "Ruby": "rb",
        "Rust": "rs",
        "SQL": "sql",
        "SVG": "svg",
        "Scala": "scala",
        "Shell": "sh bash zsh ksh",
        "Swift": "swift",
        "TOML": "toml",
        "Tcl": "tcl",
        "Plain Text": "txt",
        "TypeScript": "ts tsx",
        "VHDL": "vhd vhdl",
        "Verilog": "v",
        "SystemVerilog": "sv svh",
        "Vim script": "vim",
        "XML": "xml",
        "YAML": "yml yaml",
        "Yacc": "y yy",
        "Lex": "l",
        "Zig": "zig",
    }.items()
    for suffix in suffixes.split()
}
_BY_NAME = {
    "makefile": "Makefile",
    "gnumakefile": "Makefile",
    "kbuild": "Makefile",
    "cmakelists.txt": "CMake",
    "meson.build": "Meson",
    "dockerfile": "Dockerfile",
    "kconfig": "Kconfig",
    "readme": "Plain Text",
    "news": "Plain Text",
    "changes": "Plain Text",
    "todo": "Plain Text",
    "copying": "Plain Text",
    "license": "Plain Text",
}
FAMILIES = {"C Header": "C", "C++ Header": "C++"}
"""Languages that are one for the question who writes what."""


def language_of(path: str) -> str:
    """The language of a path.

    Example:
        >>> language_of("lib/url.c"), language_of("drivers/Kconfig"), language_of("x/unknown.zzz")
        ('C', 'Kconfig', 'other')
        >>> language_of("src/A.C"), language_of("src/A.H")
        ('C++', 'C Header')
    """
    name = path.rpartition("/")[2]
    found = _BY_NAME.get(name.lower())
    if found is not None:
        return found
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem:
        return OTHER
    if suffix == "C":
        return "C++"
    return _BY_SUFFIX.get(suffix.lower(), OTHER)
