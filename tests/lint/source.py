"""source.py -- finding and reading the repository's files for the lints."""

import argparse
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

TOPS = ("src", "include", "proto", "bench", "tests", "deploy")
CODE = (".c", ".h", ".def")
PROSE = (".py", ".sh", ".md", ".yaml", ".yml", ".json", ".build")
SKIPPED = {"__pycache__", "corpus", "results", "vectors", "vendor"}


def root_from_arguments():
    """The --root that a lint was given, or the tree that it stands in."""
    parser = argparse.ArgumentParser(add_help=True)
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--root", type=pathlib.Path, default=here.parent.parent)
    return parser.parse_args().root


def files(root, suffixes):
    """Each (path relative to root, text) under the tops, in a fixed order."""
    for top in TOPS:
        for path in sorted((root / top).rglob("*")):
            relative = path.relative_to(root)
            if SKIPPED.intersection(relative.parts):
                continue
            if path.suffix in suffixes and path.is_file():
                yield relative, path.read_text(errors="replace")


def _blank(match):
    """As many lines as before, and a mark that something stood there."""
    token = match[0]
    if token.startswith("/"):
        return " " + "\n" * token.count("\n")
    return token[0] * 2


TOKENS = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVES = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.M)


def without_comments(text):
    """C without comments and without what is in its strings; lines stay."""
    return TOKENS.sub(_blank, text)


def without_directives(text):
    """C of without_comments() without #include, #define and the like."""
    return DIRECTIVES.sub(lambda m: "\n" * m[0].count("\n"), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def finding(path, line, words):
    return f"{path}:{line}: {words}"
