#!/bin/sh
# Install what the peer of `bench wire` is built from, a C compiler and libmodbus, unless it is there.
set -eu

echo '#include <modbus/modbus.h>' | cc -E -x c - >/dev/null 2>&1 ||
    exec "$(dirname "$0")/apt.sh" gcc libc6-dev libmodbus-dev
