#!/bin/sh
# Install packages of Debian with apt-get, or say in one sentence why not.
# usage: scripts/apt.sh PACKAGE...
set -eu
missing=$*

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "$missing: missing, and this user is not root and has no sudo: ask for 'apt-get install $missing'" >&2
    exit 2
fi
if ! command -v apt-get >/dev/null; then
    echo "$missing: missing, and so is apt-get: install it with this system's package manager" >&2
    exit 2
fi

echo "$missing: installing with apt-get"
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
}
install "$@" 2>/dev/null || { $as_root apt-get -qq update && install "$@"; }
