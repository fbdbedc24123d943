#!/bin/bash
# Installs what is missing, builds, runs all tests, counts.
#
#   tests/run.sh [--quick] [--suite NAME] [--only plain|asan|tsan]
#
#   --quick        shorter system tests
#   --suite NAME   only unit, lint, fuzz, wire, system or clients
#   --only BUILD   only the plain, the ASan+UBSan or the TSan build
#
# The last line is "N passed, N failed", with ", N skipped" if any were; cases
# are counted, not programs.  The status is 0 if nothing failed.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
exec </dev/null

# Unit tests of what more than one thread touches, for TSan.
threaded="log crew loop http http_stream fetch fetch_once follower system
engine_threads"

passed=0
failed=0
skipped=0
quick=
suite=
only=

usage() {
    sed -n '4,8s/^# \{0,1\}//p' tests/run.sh >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=--quick ;;
    --suite) suite=${2-}; shift || usage ;;
    --only) only=${2-}; shift || usage ;;
    *) usage ;;
    esac
    shift
done
case $suite in
'' | unit | lint | fuzz | wire | system | clients) ;;
*) usage ;;
esac
case $only in
'' | plain | asan | tsan) ;;
*) usage ;;
esac

# Is this build to be run?  And, within it, any of these suites?
wants_build() { [ -z "$only" ] || [ "$only" = "$1" ]; }
wants_suite() {
    [ -z "$suite" ] && return 0
    for one in "$@"; do
        [ "$suite" = "$one" ] && return 0
    done
    return 1
}

fail() {
    echo "FAILED $1"
    failed=$((failed + 1))
}

# build NAME MESON-OPTIONS...: into build/NAME.
build() {
    local folder=build/$1
    local log=$folder.log
    shift
    echo "--- building $folder"
    mkdir -p build
    if [ ! -f "$folder/build.ninja" ]; then
        rm -rf "$folder"
        meson setup "$folder" "$@" >"$log" 2>&1 || {
            tail -n 30 "$log"
            fail "configuring $folder"
            return 1
        }
    fi
    ninja -C "$folder" >"$log" 2>&1 || {
        grep -A12 -E 'FAILED|error:' "$log" | head -n 60
        fail "building $folder"
        return 1
    }
}

# run BUILD LABEL MESON-TEST-ARGUMENTS...: runs and counts.
run() {
    local folder=build/$1
    local label=$2
    local log=$folder/meson-logs/$label.json
    local began=$SECONDS
    local counts
    shift 2
    rm -f "$log"
    meson test -C "$folder" --no-rebuild --num-processes 2 --quiet \
        --logbase "$label" "$@" >"$folder/$label.out" 2>&1
    if [ ! -s "$log" ]; then
        tail -n 20 "$folder/$label.out"
        fail "$folder $label: nothing was run"
        return
    fi
    python3 tests/support/count_tap.py "$log" >"$folder/$label.counts"
    sed '$d' "$folder/$label.counts"
    read -r -a counts <<<"$(tail -n 1 "$folder/$label.counts")"
    echo "--- $folder $label: ${counts[0]} passed, ${counts[1]} failed," \
        "${counts[2]} skipped, $((SECONDS - began)) s"
    passed=$((passed + counts[0]))
    failed=$((failed + counts[1]))
    skipped=$((skipped + counts[2]))
}

# Stock memcached is one of the router's backends.  Installing it would start a
# service, so where it is missing it is only unpacked.
find_memcached() {
    local folder=build/memcached

    [ -n "${TORC_TEST_MEMCACHED-}" ] && return
    command -v memcached >/dev/null && return
    if [ ! -x "$folder/usr/bin/memcached" ]; then
        mkdir -p "$folder"
        (cd "$folder" && apt-get -qq download memcached &&
            dpkg -x memcached_*.deb .) >"$folder.log" 2>&1
    fi
    if "$folder/usr/bin/memcached" -V >/dev/null 2>&1; then
        export TORC_TEST_MEMCACHED=$PWD/$folder/usr/bin/memcached
    fi
}

run_plain() {
    build test || return
    if wants_suite unit lint fuzz; then
        if [ -n "$suite" ]; then
            run test "$suite" --suite "$suite"
        else
            run test base --suite unit --suite lint --suite fuzz
        fi
    fi
    wants_suite wire && run test wire --suite wire
    wants_suite clients && run test clients --suite clients
    # The option is passed to the tests' programs; only these know it.
    wants_suite system &&
        run test system --suite system ${quick:+--test-args=--quick}
}

run_asan() {
    build asan -Db_sanitize=address,undefined -Db_lundef=false || return
    wants_suite unit && run asan unit --suite unit -t 3
    wants_suite fuzz && run asan fuzz --suite fuzz -t 3
    wants_suite wire && run asan wire --suite wire -t 3
    wants_suite system &&
        run asan system --suite system -t 3 --test-args=--quick
}

run_tsan() {
    build tsan -Db_sanitize=thread -Db_lundef=false || return
    # shellcheck disable=SC2086
    wants_suite unit && run tsan unit -t 5 $threaded
    wants_suite system &&
        run tsan system -t 5 --test-args=--quick join_leave
}

echo "--- installing what is missing"
mkdir -p build
deploy/install.sh test || fail "deploy/install.sh test"
find_memcached

wants_build plain && run_plain
wants_build asan && wants_suite unit fuzz wire system && run_asan
wants_build tsan && wants_suite unit system && run_tsan

line="$passed passed, $failed failed"
[ "$skipped" -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
