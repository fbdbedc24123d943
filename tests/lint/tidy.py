#!/usr/bin/env python3
"""tidy.py -- each rule of rules.py over the whole tree, as TAP."""

import sys

from source import CODE, PROSE, files, root_from_arguments
from support.tap import Tap

import rules


def sentence(rule):
    return " ".join(rule.__doc__.split()).rstrip(".")


def main():
    texts = dict(files(root_from_arguments(), CODE + PROSE))
    tap = Tap()
    tap.ok(len(texts) > 0, "there are files to look at")
    for rule in rules.RULES:
        found = [finding for path, text in texts.items()
                 if path.suffix in rule.SUFFIXES
                 for finding in rule(path, text)]
        tap.ok(not found, sentence(rule), "\n".join(found))
    for rule in rules.TREE_RULES:
        found = list(rule(texts))
        tap.ok(not found, sentence(rule), "\n".join(found))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
