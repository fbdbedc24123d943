#!/usr/bin/env python3
"""format.py -- the tree is as .clang-format says, as TAP.

Versions of clang-format differ in what they make of the same settings, so only
the one that the tree is formatted with has a say.
"""

import re
import shutil
import subprocess
import sys

from source import files, root_from_arguments
from support.tap import Tap

VERSION = "14"
NAME = "sources are formatted"


def tool():
    """clang-format of the right version, and if there is none, why not."""
    found = "it is not installed"
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path is None:
            continue
        words = subprocess.run([path, "--version"], capture_output=True,
                               text=True, check=True).stdout
        if re.search(rf"version {VERSION}\.", words):
            return path, None
        found = f"clang-format {VERSION} is needed, found: {words.strip()}"
    return None, found


def main():
    root = root_from_arguments()
    tap = Tap()
    path, why = tool()
    if path is None:
        tap.skip(NAME, why)
        return tap.done()
    sources = [str(name) for name, _ in files(root, (".c", ".h"))]
    result = subprocess.run([path, "--dry-run", "--Werror", *sources], cwd=root,
                            capture_output=True, text=True)
    wrong = sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: error",
                                  result.stderr, re.M)))
    tap.ok(sources and result.returncode == 0, NAME,
           "\n".join(wrong) or result.stderr[:1000])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
