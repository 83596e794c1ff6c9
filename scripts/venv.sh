#!/bin/sh
# Make a virtual environment, or say in one sentence what is missing.
# usage: scripts/venv.sh PYTHON DIRECTORY
set -eu
python=$1 venv=$2

command -v "$python" >/dev/null || {
    echo "env: $python was not found; install it (Debian: apt-get install python3 python3-venv)" >&2
    exit 2
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "env: $("$python" --version) is too old, 3.11 is needed; name another one with: make PYTHON=python3.13" >&2
    exit 2
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
    echo "env: $python cannot make virtual environments; install them (Debian: apt-get install python3-venv)" >&2
    exit 2
}
rm -rf "$venv"
"$python" -m venv "$venv"
