#!/bin/sh
# One command to a running cluster: installs what is missing, builds a release
# into build/release, and becomes `torc up` with the arguments given.
#
#   deploy/up.sh                  three shards, clients at 127.0.0.1:11211
#   deploy/up.sh --shards 5
#   deploy/up.sh --demo           real traffic, a shard joins, a report
#   deploy/up.sh --help           all that torc up can be told
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/release

# Runs a command quietly; shows the end of what it said if it failed.
quietly() {
    log=$(mktemp "${TMPDIR:-/tmp}/torc-build-XXXXXX")
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    echo "up: this failed: $*" >&2
    tail -n 30 "$log" | sed 's/^/    /' >&2
    echo "up: the whole log is $log" >&2
    return 1
}

"$root/deploy/install.sh" build

if [ ! -f "$build/build.ninja" ]; then
    echo "up: configuring $build"
    rm -rf "$build"
    quietly meson setup --buildtype=release -Db_ndebug=false -Db_lto=true \
        "$build" "$root"
fi
[ -x "$build/src/ctl/torc" ] ||
    echo "up: building a release; the first time takes a minute or two"
quietly ninja -C "$build" src/ctl/torc src/ringd/torc-ringd \
    src/shard/torc-shard src/router/torc-router

exec "$build/src/ctl/torc" up "$@"
