#!/usr/bin/env python3
"""rules_test.py -- the lints can fail: each rule finds its bad samples, is
silent on its good ones, and a tree with one of each fault is refused."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from source import root_from_arguments
from support.tap import Skip, Tap, require, require_equal

import format as format_lint
import layer_rules
import rules

HERE = pathlib.Path(__file__).resolve().parent


def function_of(lines):
    """A function of that many lines, its signature and brackets included."""
    return ("static int f(void)\n{\n" + "    g();\n" * (lines - 3) + "}\n")


# For each rule: (path, text, how many findings).
SAMPLES = {
    layer_rules.directions: [
        ("src/core/a.c", '#include "net/conn.h"\n', 1),
        ("src/core/a.c", '#  include "shard/shard.h"\n', 1),
        ("src/base/a.c", '#include "proto/limits.h"\n', 1),
        ("src/net/a.c", '#include "core/ring.h"\n', 1),
        ("src/node/a.c", '#include "shard/shard.h"\n', 1),
        ("src/shard/a.c", '#include "router/router.h"\n', 1),
        ("src/ctl/a.c", '#include "ringd/ringd.h"\n', 1),
        ("src/base/err.def", '#include "core/ring.h"\n', 1),
        ("proto/limits.h", '#include "base/err.h"\n', 1),
        ("bench/load/a.c", '#include "node/process.h"\n', 1),
        ("include/torc/client.h", '#include "core/ring.h"\n', 1),
        ("src/cellar/a.c", "", 1),
        ("src/core/a.c", '#include "base/err.h"\n#include "core/b.h"\n'
         '#include "proto/limits.h"\n', 0),
        ("src/router/a.c", '#include "node/process.h"\n'
         '#include "net/conn.h"\n#include "core/ring.h"\n', 0),
        ("bench/load/a.c", '#include "net/conn.h"\n'
         '#include "torc/client.h"\n', 0),
        ("tests/unit/core/a.c", '#include "shard/shard.h"\n', 0),
    ],
    layer_rules.includes_name_their_folder: [
        ("src/core/a.c", '#include "ring.h"\n', 1),
        ("src/core/a.c", '#include "../net/conn.h"\n', 1),
        ("src/core/a.c", '#include "core/../net/conn.h"\n', 1),
        ("src/core/a.c", '#include "core/ring.h"\n#include <math.h>\n', 0),
    ],
    layer_rules.core_is_pure: [
        ("src/core/a.c", "#include <unistd.h>\n", 1),
        ("src/core/a.c", "#include <sys/socket.h>\n", 1),
        ("src/core/a.h", "#include <time.h>\n", 1),
        ("src/core/a.c", "#include <event2/event.h>\n", 1),
        ("src/core/a.c", "#include <string.h>\n#include <jansson.h>\n", 0),
        ("src/net/a.c", "#include <sys/socket.h>\n", 0),
    ],
    rules.functions_are_short: [
        ("src/core/a.c", function_of(71), 1),
        ("tests/unit/core/a.c", function_of(70) + function_of(90), 1),
        ("src/core/a.c", "static int f(int a,\n             int b)\n{\n" +
         "    g();\n" * 67 + "}\n", 1),
        ("src/core/a.c", "enum {\n    A,\n};\n\n" + function_of(70) * 3, 0),
        ("src/core/a.c", "static const int a[] = {\n" + "    1,\n" * 90 +
         "};\n", 0),
    ],
    rules.files_are_short: [
        ("src/core/a.c", "\n" * 601, 1),
        ("tests/lint/a.py", "\n" * 601, 1),
        ("src/core/a.c", "\n" * 600, 0),
    ],
    rules.mains_are_short: [
        ("src/shard/main.c", "\n" * 101, 1),
        ("src/shard/main.c", "\n" * 100, 0),
        ("src/shard/shard.c", "\n" * 101, 0),
    ],
    rules.lines_are_narrow: [
        ("src/core/a.c", "x" * 81 + "\n", 1),
        ("src/core/a.def", "x" * 81 + "\n", 1),
        ("src/core/a.c", "x" * 80 + "\n" + "\u00e9" * 80 + "\n", 0),
        ("src/core/a.def", '       "' + "x" * 80 + '")\n', 0),
    ],
    rules.blanks_are_clean: [
        ("src/core/a.c", "\tx;\n", 1),
        ("src/core/a.c", "x; \n", 1),
        ("src/core/a.c", "x;\r\n", 1),
        ("src/core/a.c", "x;", 1),
        ("src/core/a.c", "    x;\n\n", 0),
    ],
    rules.banned_calls: [
        ("src/core/a.c", "    strcpy(a, b);\n", 1),
        ("bench/a.c", "    x = atoi (a) + rand();\n", 2),
        ("tests/a.c", "    (void)system(\"ls\");\n", 1),
        ("src/core/a.c", "    sprintf(a, b);\n    vsprintf(a, b, c);\n", 2),
        ("src/core/a.c", "    snprintf(a, 1, b); rand_u64(r); gets_count(x);\n"
         "    /* strcpy(a, b) */\n    // gets(a)\n"
         "    x = \"system(1)\"; env->system(a); y.rand(z);\n", 0),
    ],
    rules.memory_comes_from_mem: [
        ("src/net/a.c", "    x = malloc(1);\n    free(x);\n", 2),
        ("src/net/a.c", "    return strdup(x);\n", 1),
        ("src/net/a.c", "    x = malloc(1); /* jansson's */\n"
         "    free(x); /* ours */\n", 2),
        ("src/net/a.c", "    free(x); /* jansson's */\n", 0),
        ("src/base/mem.c", "    x = malloc(1);\n    free(x);\n", 0),
        ("src/net/a.c", "    mem_free(m, x); evbuffer_free(x); x->free(y);\n"
         "    /* malloc(1) */\n", 0),
        ("tests/unit/a.c", "    free(x);\n", 0),
    ],
    rules.no_globals: [
        ("src/net/a.c", "static int count;\n", 1),
        ("src/net/a.c", "int count = 3;\n", 1),
        ("src/net/a.c", "static struct loop *loop = NULL;\n", 1),
        ("src/net/a.c", "static const char *name;\n", 1),
        ("src/net/a.c", "static const char *names[] = {\"a\", \"b\"};\n", 1),
        ("src/net/a.c", "static _Atomic bool stop;\n", 1),
        ("src/net/a.c", "static volatile sig_atomic_t stop;\n", 1),
        ("src/net/a.c", "static _Thread_local int depth;\n", 1),
        ("src/net/a.c", "static void (*hook)(int);\n", 1),
        ("src/net/a.c", "struct loop {\n    int a;\n} loop;\n", 1),
        ("src/net/a.c", "static char buffer[SIZE_OF(x)];\n", 1),
        ("src/net/a.c", "int f(void)\n{\n    static int calls = 0;\n"
         "    return ++calls;\n}\n", 1),
        ("src/net/a.c", "int f(void)\n{\n    return 1;\n}\n\nint late;\n", 1),
        ("src/net/a.c",
         "#include <a.h>\n#define A(x) \\\n    int x;\n"
         "enum { A_MAX = 3 };\nstruct a;\nunion u { int a; };\n"
         "typedef int number;\ntypedef int (*call)(int);\n"
         "_Static_assert(1, \"one; two\");\n"
         "_Static_assert(sizeof((struct a){0}.b) == 4, \"b\");\nstruct a {\n    int b;\n"
         "    void (*call)(int);\n} __attribute__((packed));\n"
         "static const int a = 1;\nint const b = 2;\n"
         "static const char *const names[] = {\"a;\", \"b\"};\n"
         "static const struct { int a; } rows[] = {{1}, {2}};\n"
         "static int (*const calls[])(int) = {f, g};\n"
         "int f(int a,\n      int (*g)(int));\n"
         "void h(const char *format, ...)\n"
         "    __attribute__((format(printf, 1, 2)));\n"
         "static inline int g(char out[static 20],\n                    int b)\n"
         "{\n    static const int c = 1;\n    int d = 0;\n    return d;\n}\n", 0),
        ("tests/a.c", "static int count;\n", 0),
    ],
    rules.nothing_is_unfinished: [
        (name, f"/* {word}: later */\n", 1) for word in rules.UNFINISHED
        for name in ("src/a.c", "proto/README.md")
    ] + [
        ("src/a.c", "/* todo lists are fine, and so is HACKNEY */\n", 0),
    ],
}

WORDS = "/* a.h -- what this is for. */\n"

# For each rule: (the files of a tree, how many findings).
TREE_SAMPLES = {
    rules.files_open_with_words: [
        ({"src/core/a.h": "#ifndef A\n"}, 1),
        ({"src/core/a.h": "/* */\n"}, 1),
        ({"src/core/a.c": "#include <a.h>\n"}, 1),
        ({"src/core/a.def": "A(1)\n"}, 1),
        ({"src/core/a.c": "int a;\n", "src/net/a.h": WORDS}, 1),
        ({"src/core/ab.c": "int a;\n", "src/core/a.h": WORDS}, 1),
        ({"src/core/a.h": WORDS, "src/core/a.c": "int a;\n",
          "src/core/a_b.c": "int b;\n", "src/core/c.c": "\n" + WORDS,
          "tests/lint/a.py": "x = 1\n"}, 0),
    ],
    rules.folders_are_described: [
        ({}, len(rules.FOLDERS)),
        ({"src/core/a.h": "int a;\n", "bench/README.md": "Soon.\n"},
         len(rules.FOLDERS)),
        ({"src/core/a.h": WORDS, "bench/README.md": "word " * 10},
         len(rules.FOLDERS) - 2),
    ],
}


def check_samples(rule):
    """Each sample gives as many findings as it says, at existing lines."""
    samples = SAMPLES[rule]
    require(any(count > 0 for _, _, count in samples), "no bad sample")
    require(any(count == 0 for _, _, count in samples), "no good sample")
    for name, text, count in samples:
        found = list(rule(pathlib.PurePath(name), text))
        require_equal(len(found), count, f"findings in {text!r}: {found}")
        for words in found:
            line = int(words.split(":")[1])
            require(1 <= line <= text.count("\n") + 1, f"line of {words}")


def check_tree_samples(rule):
    for texts, count in TREE_SAMPLES[rule]:
        tree = {pathlib.PurePath(name): text for name, text in texts.items()}
        found = list(rule(tree))
        require_equal(len(found), count, f"findings in {sorted(texts)}")


def run_lint(name, root):
    result = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), "--root", str(root)],
        capture_output=True, text=True)
    return result.returncode, result.stdout


def check_refused(name, path, text, words):
    """A tree with this file is refused by the lint, which names the file."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text)
        status, output = run_lint(name, root)
        require_equal(status, 1, f"exit status of {name}")
        require("\nnot ok" in f"\n{output}" and words in output,
                f"{name} says: {output}")


def check_an_empty_tree_is_refused(name):
    """Else a wrong --root would make every lint pass."""
    with tempfile.TemporaryDirectory() as folder:
        status, output = run_lint(name, pathlib.Path(folder))
        require_equal(status, 1, f"exit status of {name}")


def check_format(root):
    path, why = format_lint.tool()
    if path is None:
        raise Skip(why)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(root / ".clang-format", folder)
        (pathlib.Path(folder) / "src").mkdir()
        source = pathlib.Path(folder) / "src" / "a.c"
        source.write_text("int f(void)\n{\n    return 1;\n}\n")
        require_equal(run_lint("format", folder)[0], 0, "of a good file")
        source.write_text("int f(void) { return  1; }\n")
        status, output = run_lint("format", folder)
        require_equal(status, 1, "of a bad file")
        require("# src/a.c" in output, f"the file is not named: {output}")


def main():
    root = root_from_arguments()
    tap = Tap()
    for rule in (*layer_rules.RULES, *rules.RULES):
        with tap.case(f"{rule.__name__} finds its bad samples only"):
            check_samples(rule)
    for rule in rules.TREE_RULES:
        with tap.case(f"{rule.__name__} finds its bad samples only"):
            check_tree_samples(rule)
    with tap.case("tidy.py refuses a tree with a fault"):
        check_refused("tidy", "src/core/a.c", "static int global;\n",
                      "src/core/a.c:1: a mutable global")
    with tap.case("layers.py refuses a tree with a fault"):
        check_refused("layers", "src/core/a.c", '#include "net/conn.h"\n',
                      "src/core/a.c:1: core may not include net")
    with tap.case("format.py refuses a tree with a fault"):
        check_format(root)
    for name in ("tidy", "layers"):
        with tap.case(f"{name}.py refuses an empty tree"):
            check_an_empty_tree_is_refused(name)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
