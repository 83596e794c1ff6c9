#!/bin/sh
# Install mosquitto with apt-get unless it is there. Nothing here starts it: demo and tests run brokers of their own, on
# free ports, with their own configuration.
set -eu

PATH=$PATH:/usr/sbin:/sbin
if command -v mosquitto >/dev/null; then exit 0; fi

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "mosquitto is missing and this user is not root and has no sudo: ask for 'apt-get install mosquitto'" >&2
    exit 2
fi
if ! command -v apt-get >/dev/null; then
    echo "mosquitto is missing and so is apt-get: install mosquitto with this system's package manager" >&2
    exit 2
fi

echo 'mosquitto: installing it with apt-get'
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends mosquitto >/dev/null
}
install 2>/dev/null || { $as_root apt-get -qq update && install; }
