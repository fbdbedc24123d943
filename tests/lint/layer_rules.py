"""layer_rules.py -- who may include whom.

    proto, base  <-  core, net  <-  node  <-  shard router ringd ctl

A role never includes another role; core is pure, so it includes nothing that
could ask the system for anything.
"""

import re

from source import finding

_ROLE = {"base", "core", "net", "node", "proto"}
MAY = {
    "proto": set(),
    "base": set(),
    "core": {"base", "proto"},
    "net": {"base", "proto"},
    "node": {"base", "core", "net", "proto"},
    "shard": _ROLE,
    "router": _ROLE,
    "ringd": _ROLE,
    "ctl": _ROLE,
    "torc": set(),
    "bench": {"base", "core", "net", "proto", "torc"},
}

# Where a clock, a socket, a file or a process would come in.
IMPURE = re.compile(
    r"(unistd|time|fcntl|poll|netdb|signal|termios|dirent|spawn)\.h$"
    r"|(sys|netinet|arpa|net|event2|curl|openssl|linux)/")

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def layer_of(path):
    """The layer that a file belongs to; None: it may include anything."""
    parts = path.parts
    if parts[0] in ("src", "include"):
        return parts[1] if len(parts) > 2 else None
    return parts[0] if parts[0] in ("proto", "bench") else None


def _includes(text):
    for match in _INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def directions(path, text):
    """A layer includes only what is below it."""
    own = layer_of(path)
    if own is None:
        return
    if own not in MAY:
        yield finding(path, 1, f"no layer is called {own}")
        return
    for line, quote, name in _includes(text):
        folder = name.split("/")[0]
        if folder in MAY and folder != own and folder not in MAY[own]:
            yield finding(path, line, f"{own} may not include {folder}")


def includes_name_their_folder(path, text):
    """Includes of ours start with a folder, so that a move cannot hide."""
    if layer_of(path) is None:
        return
    for line, quote, name in _includes(text):
        if quote == '"' and ("/" not in name or ".." in name):
            yield finding(path, line, f'"{name}" does not name its folder')


def core_is_pure(path, text):
    """core and proto ask the system for nothing."""
    if layer_of(path) not in ("core", "proto"):
        return
    for line, quote, name in _includes(text):
        if quote == "<" and IMPURE.match(name):
            yield finding(path, line, f"<{name}> is no place for pure code")


RULES = (directions, includes_name_their_folder, core_is_pure)
