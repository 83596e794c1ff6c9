#!/bin/sh
# Renew requirements/*.txt: universal, with hashes, and proved to install from wheels alone on every target.
# usage: scripts/lock.sh UV PIP
set -eu
uv=$1 pip=$2
cd "$(dirname "$0")/.."

export UV_CUSTOM_COMPILE_COMMAND="make lock"
compile() {
    "$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links "$@"
}
compile pyproject.toml requirements/build.in -o requirements/run.txt
compile pyproject.toml requirements/build.in --all-extras -c requirements/run.txt -o requirements/dev.txt
compile requirements/lock.in -o requirements/lock.txt

# Debian 12 and Raspberry Pi OS 12 have glibc 2.36: every manylinux tag up to it is acceptable, none above.
for machine in x86_64 aarch64; do
    platforms=
    for minor in $(seq 17 36); do platforms="$platforms --platform manylinux_2_${minor}_$machine"; done
    platforms="$platforms --platform manylinux2014_$machine"
    for python in 3.11 3.13; do
        for lock in run dev; do
            # shellcheck disable=SC2086  # a list of options
            "$pip" install --quiet --quiet --dry-run --ignore-installed --no-deps --require-hashes --only-binary=:all: \
                --target /nonexistent --implementation cp --python-version "$python" $platforms \
                -r "requirements/$lock.txt"
            echo "ok  requirements/$lock.txt installs from wheels on CPython $python, $machine"
        done
    done
done
