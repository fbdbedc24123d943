#!/bin/sh
# Gets the peers that torc is compared with, into build/peers: the newest
# memcached that Debian carries, built from the source package of its unstable
# suite (older ones answer pipelined gets with one write each and are no
# yardstick), and nutcracker from the machine's own suite.  apt's lists and
# sources of the machine stay untouched.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
peers=$root/build/peers
cores=$(nproc)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

say() {
    echo "peers: $*"
}

need_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

fetch_memcached() {
    mkdir -p "$peers/apt/lists/partial"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src [signed-by=$keys] http://deb.debian.org/debian unstable main" \
        >"$peers/apt/sources.list"
    apt_own() {
        apt-get -qq -o Dir::Etc::sourcelist="$peers/apt/sources.list" \
            -o Dir::Etc::sourceparts=/dev/null \
            -o Dir::State::lists="$peers/apt/lists" \
            -o APT::Sandbox::User=root "$@"
    }
    apt_own update
    # Of the source package only upstream's own archive is needed.
    # A line of --print-uris: 'URL' name size checksum
    apt_own source --print-uris memcached | grep '\.orig\.tar\.[a-z0-9]* ' |
        while read -r url name _ checksum; do
            url=${url#\'}
            /usr/lib/apt/apt-helper -qq download-file "${url%\'}" \
                "$peers/$name" "$checksum"
        done
}

build_memcached() {
    [ ! -x "$peers/memcached" ] || return 0
    need_packages build-essential libevent-dev xz-utils debian-archive-keyring
    say "fetching memcached's source from Debian unstable"
    fetch_memcached
    tarball=$(find "$peers" -name 'memcached_*.orig.tar.*' ! -name '*.asc' |
        sort | tail -n 1)
    say "building $(basename "$tarball")"
    rm -rf "$peers/memcached-source"
    mkdir "$peers/memcached-source"
    tar -xf "$tarball" -C "$peers/memcached-source" --strip-components=1
    (cd "$peers/memcached-source" &&
        ./configure --disable-docs --enable-proxy >configure.log 2>&1 &&
        make -j"$cores" >make.log 2>&1)
    cp "$peers/memcached-source/memcached" "$peers/memcached"
}

mkdir -p "$peers"
build_memcached
need_packages nutcracker
say "memcached: $("$peers/memcached" -V)"
say "nutcracker: $(dpkg-query -W -f '${Version}' nutcracker)"
