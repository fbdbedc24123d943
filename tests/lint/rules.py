"""rules.py -- what is wrong with one file, rule by rule.

A rule takes a path relative to the top and the file's text, and yields
findings.  SUFFIXES of a rule tells which files it is for.
"""

import re

from source import (CODE, PROSE, finding, line_of, without_comments,
                    without_directives)

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
COLUMNS_MAX = 80
MAIN_LINES_MAX = 100

BANNED = ("strcpy", "strcat", "sprintf", "vsprintf", "strtok", "gets", "alloca",
          "atoi", "atol", "rand", "srand", "system", "popen")
MEMORY = ("malloc", "calloc", "realloc", "reallocarray", "free", "strdup",
          "strndup", "aligned_alloc", "posix_memalign")
LIBRARYS = re.compile(r"/\* \w+'s \*/")
# In two halves, so that this file may be searched too.
UNFINISHED = ("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")


def _rule(*suffixes):
    def mark(function):
        function.SUFFIXES = suffixes
        return function
    return mark


def _is_src(path):
    return path.parts[0] == "src"


@_rule(".c", ".h")
def functions_are_short(path, text):
    """A function has at most 70 lines."""
    lines = text.split("\n")
    for start, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        end = next((i for i in range(start, len(lines))
                    if lines[i].startswith("}")), len(lines) - 1)
        first = start
        while first > 0 and re.match(r"[^\s#}/*]|\s+\S", lines[first - 1]) \
                and not lines[first - 1].rstrip().endswith((";", "*/", "\\")):
            first -= 1
        size = end - first + 1
        if size > FUNCTION_LINES_MAX:
            yield finding(path, first + 1,
                          f"a function of {size} lines; at most "
                          f"{FUNCTION_LINES_MAX}")


@_rule(*CODE, ".py", ".sh")
def files_are_short(path, text):
    """A file has at most 600 lines."""
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        yield finding(path, count, f"{count} lines; at most {FILE_LINES_MAX}")


@_rule(".c")
def mains_are_short(path, text):
    """A program's main.c has at most 100 lines."""
    count = text.count("\n")
    if _is_src(path) and path.name == "main.c" and count > MAIN_LINES_MAX:
        yield finding(path, count, f"{count} lines; at most {MAIN_LINES_MAX}")


@_rule(*CODE)
def lines_are_narrow(path, text):
    """A line has at most 80 columns, but for the words of a table's row."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) <= COLUMNS_MAX:
            continue
        if path.suffix == ".def" and '"' in line:
            continue
        yield finding(path, number, f"{len(line)} columns; at most "
                      f"{COLUMNS_MAX}")


@_rule(*CODE, *PROSE)
def blanks_are_clean(path, text):
    """No tabs, no blanks at a line's end, a newline at the file's."""
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            yield finding(path, number, "a tab")
        if line != line.rstrip():
            yield finding(path, number, "a blank at the end")
    if text and not text.endswith("\n"):
        yield finding(path, text.count("\n") + 1, "no newline at the end")


def _calls(path, text, names):
    pattern = re.compile(r"(?<![\w.])(?<!->)(" + "|".join(names) + r")\s*\(")
    code = without_comments(text)
    for match in pattern.finditer(code):
        yield line_of(code, match.start()), match[1]


@_rule(".c", ".h")
def banned_calls(path, text):
    """Nobody calls what has no bounds, hides errors or starts a shell."""
    for line, name in _calls(path, text, BANNED):
        yield finding(path, line, f"{name}() is banned")


@_rule(".c", ".h")
def memory_comes_from_mem(path, text):
    """In src only base/mem.c asks the allocator itself, but to free what a
    library gave, in a line that says whose it is."""
    if not _is_src(path) or path.as_posix() == "src/base/mem.c":
        return
    lines = text.split("\n")
    for line, name in _calls(path, text, MEMORY):
        if name == "free" and LIBRARYS.search(lines[line - 1]):
            continue
        yield finding(path, line, f"{name}() is for base/mem.c alone")


def _without_groups(code, opening, closing):
    """Code with what is between outermost brackets left out; lines stay."""
    out = []
    depth = 0
    for byte in code:
        if byte == opening:
            depth += 1
            if depth == 1:
                out.append(byte)
        elif byte == closing:
            depth = max(depth - 1, 0)
            if depth == 0:
                out.append(byte)
        elif depth == 0 or byte == "\n":
            out.append(byte)
    return "".join(out)


_ATTRIBUTE = re.compile(
    r"(__attribute__|_Alignas|alignas|_Atomic)\s*\(\s*\)|\[\s*\]")
# On a line of its own, else it is a literal: (struct a){0}.
_FUNCTION_BODY = re.compile(r"\)\s*\n\{\s*\}")
_TYPE_ONLY = re.compile(r"(?:struct|union|enum)(?:\s+\w+)?\s*(?:\{\s*\})?$")
_FUNCTION = re.compile(r"\w\s*\(\s*\)$")
_OURS_NOT = re.compile(r"(?:typedef|extern|_Static_assert|static_assert"
                       r"|__extension__\s+typedef)\b")


def _is_mutable(statement):
    """Whether a statement declares a variable that can change."""
    declaration = statement.split("=")[0].strip()
    if not declaration or _OURS_NOT.match(declaration):
        return False
    pointer_to_function = re.match(r"[^(]*\(\s*\*([^()]*)\)", declaration)
    if pointer_to_function:
        return not re.search(r"\bconst\b", pointer_to_function[1])
    declaration = _without_groups(declaration, "(", ")")
    declaration = _without_groups(declaration, "[", "]")
    declaration = _ATTRIBUTE.sub("", declaration).strip()
    if _TYPE_ONLY.match(declaration) or _FUNCTION.search(declaration):
        return False
    if "*" in declaration:
        declaration = declaration.rsplit("*", 1)[1]
    return not re.search(r"\bconst\b", declaration)


@_rule(".c", ".h")
def no_globals(path, text):
    """src has no variable that outlives its owner: not in a file, not static
    in a function."""
    if not _is_src(path):
        return
    code = without_directives(without_comments(text))
    outside = _without_groups(code, "{", "}")
    outside = _FUNCTION_BODY.sub(lambda m: ");" + "\n" * m[0].count("\n"),
                                 outside)
    offset = 0
    for statement in outside.split(";"):
        at = offset + len(statement) - len(statement.lstrip())
        offset += len(statement) + 1
        if _is_mutable(statement):
            yield finding(path, line_of(outside, at), "a mutable global: " +
                          " ".join(statement.split("=")[0].split()))
    for match in re.finditer(r"^[ \t]+static\b[^;={]*", code, re.M):
        if _is_mutable(match[0].strip()):
            yield finding(path, line_of(code, match.start()),
                          "a static variable that can change: " +
                          " ".join(match[0].split()))


@_rule(*CODE, *PROSE)
def nothing_is_unfinished(path, text):
    """No word that marks work left undone."""
    for match in re.finditer(r"\b(" + "|".join(UNFINISHED) + r")\b", text):
        yield finding(path, line_of(text, match.start()), match[1])


def _opens_with_words(text):
    match = re.match(r"\s*/\*(.*?)\*/", text, re.S)
    return match is not None and len(re.findall(r"\w+", match[1])) >= 4


def _has_header(path, headers):
    """Whether a header of this folder speaks for the file: ring_plan.c is
    explained by ring.h."""
    return any(path.parent == header.parent and
               (path.stem == header.stem or
                path.stem.startswith(header.stem + "_"))
               for header in headers)


def files_open_with_words(texts):
    """Each header and table, and each source file whose header does not,
    opens with a comment that says what it is for."""
    headers = [path for path in texts if path.suffix == ".h"]
    for path, text in texts.items():
        if path.suffix not in CODE or _opens_with_words(text):
            continue
        if path.suffix == ".c" and _has_header(path, headers):
            continue
        yield finding(path, 1, "does not open with what it is for")


FOLDERS = (
    "src", "src/base", "src/core", "src/net", "src/node", "src/shard",
    "src/router", "src/ringd", "src/ctl", "include/torc", "proto", "bench",
    "tests", "tests/unit", "tests/wire", "tests/fuzz", "tests/sim",
    "tests/system", "tests/clients", "tests/lint", "tests/support", "deploy")


def _describes(path, text):
    if path.name in ("README.md", "ARCHITECTURE.md"):
        return len(text.split()) >= 10
    return path.suffix == ".h" and _opens_with_words(text)


def folders_are_described(texts):
    """Each folder of the house has a README or a header that says what it is
    for."""
    described = {path.parent.as_posix() for path, text in texts.items()
                 if _describes(path, text)}
    for folder in FOLDERS:
        if folder not in described:
            yield finding(folder, 1, "no README.md or header says what it is "
                          "for")


# Of one file at a time, and of all files together.
RULES = (functions_are_short, files_are_short, mains_are_short,
         lines_are_narrow, blanks_are_clean, banned_calls,
         memory_comes_from_mem, no_globals, nothing_is_unfinished)
TREE_RULES = (files_open_with_words, folders_are_described)
