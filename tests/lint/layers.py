#!/usr/bin/env python3
"""layers.py -- the include rules of layer_rules.py over the tree, as TAP."""

import sys

from source import CODE, files, root_from_arguments
from support.tap import Tap

import layer_rules


def main():
    texts = dict(files(root_from_arguments(), CODE))
    tap = Tap()
    tap.ok(len(texts) > 0, "there are files to look at")
    for rule in layer_rules.RULES:
        found = [finding for path, text in texts.items()
                 for finding in rule(path, text)]
        tap.ok(not found, rule.__doc__.rstrip("."), "\n".join(found))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
