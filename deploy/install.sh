#!/bin/sh
# Installs what torc is built from, or is tested with, where it is missing.
#
#   deploy/install.sh build    compiler, build tool, libraries
#   deploy/install.sh test     the same, and the clients and tools of the tests
#
# Debian and its kin only.  Does nothing, and needs no rights, if all is there.
# It can also be sourced: install_missing SET does the same within the caller.

packages_build="gcc libc6-dev meson ninja-build pkg-config libevent-dev
libxxhash-dev libjemalloc-dev libjansson-dev libcurl4-openssl-dev
libcmocka-dev"

packages_test="libmemcached-tools python3 python3-pymemcache python3-pylibmc
python3-memcache php-cli php-memcached nutcracker curl clang-format"

# The client library for Go needs 1.18 or newer, from wherever it came.
go_is_usable() {
    version=$(go version 2>/dev/null |
        sed -n 's/^go version go1\.\([0-9][0-9]*\).*/\1/p')
    [ -n "$version" ] && [ "$version" -ge 18 ]
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

packages_of() {
    case $1 in
    build) echo "$packages_build" ;;
    test)
        echo "$packages_build $packages_test"
        go_is_usable || echo golang-go
        ;;
    *)
        echo "install: no such set: $1; there are build and test" >&2
        return 2
        ;;
    esac
}

# Runs a command with its output in the log; shows the log's end if it failed.
install_step() {
    log=$1
    shift
    if "$@" >>"$log" 2>&1 </dev/null; then
        return 0
    fi
    echo "install: this failed: $*" >&2
    tail -n 20 "$log" | sed 's/^/    /' >&2
    echo "install: the whole log is $log" >&2
    return 1
}

install_missing() {
    wanted=$(packages_of "$1") || return 2
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null
    then
        echo "install: not a Debian system; what is needed there is called" \
            $wanted >&2
        echo "install: going on in the hope that it is installed" >&2
        return 0
    fi

    missing=
    for package in $wanted; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0

    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "install: needs root or sudo to install:$missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    log=$(mktemp "${TMPDIR:-/tmp}/torc-install-XXXXXX") || return 1
    echo "install: installing$missing"
    install_step "$log" $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o DPkg::Lock::Timeout=120 update || return 1
    install_step "$log" $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends \
        install $missing || return 1
    rm -f "$log"
}

case ${0##*/} in
install.sh)
    if [ $# -ne 1 ]; then
        echo "usage: deploy/install.sh build|test" >&2
        exit 2
    fi
    install_missing "$1"
    ;;
esac
