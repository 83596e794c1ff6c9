#!/bin/sh
# Proof of a fresh machine: clone this repository into a Debian 12 container that has only python3, python3-venv, make and
# git, and run make there.
#
#   scripts/fresh-clone.sh test
#   scripts/fresh-clone.sh demo DEMO_ARGS="--seconds 180 --json out.json"
#
# It needs root and debootstrap. The base is built once and kept in FRESH_CACHE; REF (default HEAD) is what is cloned;
# KEEP=1 keeps the container's directory for a look inside. How this machine reaches its package mirrors (apt's Acquire
# settings, pip's configuration, certificates, proxies) is handed in at run time and never stored in the repository.
set -eu

suite=bookworm
cache=${FRESH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/battery-agent}
repository=$(cd "$(dirname "$0")/.." && pwd)
base=$cache/$suite-$(dpkg --print-architecture).tar

fail() {
    echo "fresh-clone: $1" >&2
    exit 2
}

build_base() {
    command -v debootstrap >/dev/null || fail "debootstrap is missing; apt-get install debootstrap"
    echo "fresh-clone: building the $suite base once, into $base" >&2
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/base.XXXXXX")
    # The mirror that this machine itself uses; debootstrap's own default if there is none.
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 2>/dev/null | awk -v s=$suite '$2 == s {print $1; exit}')
    # shellcheck disable=SC2086  # no mirror, no argument
    debootstrap --variant=minbase --include=python3,python3-venv,make,git $suite "$scratch" $mirror >"$scratch.log" 2>&1 ||
        fail "debootstrap failed: $scratch.log"
    rm -rf "$scratch"/var/cache/apt/archives/*.deb
    tar -C "$scratch" -cf "$base.part" . && mv "$base.part" "$base"
    rm -rf "$scratch" "$scratch.log"
}

# Variables that say how to reach the outside, as NAME=value lines.
reaching() { env | grep -E '^(PIP_[A-Z_]*|SSL_CERT_[A-Z]*|REQUESTS_CA_BUNDLE|[a-zA-Z]*_(proxy|PROXY))=' || true; }

# Make a file or directory of this machine visible, read-only, at the same place in the container.
lend() {
    case $1 in /proc | /proc/* | /sys | /sys/* | /dev | /dev/* | / | "$repository" | "$repository"/*) return ;; esac
    if [ "$1" -ef "$root$1" ]; then
        return # inside a directory that was lent before
    elif [ -d "$1" ]; then
        mkdir -p "$root$1"
    elif [ -f "$1" ]; then
        mkdir -p "$root$(dirname "$1")" && : >>"$root$1"
    else
        return
    fi
    mount --bind "$1" "$root$1" && mount -o remount,bind,ro "$root$1"
}

hand_in_configuration() {
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    for file in $(grep -lsE '^ *Acquire' /etc/apt/apt.conf.d/* || true); do cp "$file" "$root/etc/apt/apt.conf.d/"; done
    for file in /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
        [ ! -f "$file" ] || install -D -m 644 "$file" "$root$(echo "$file" | sed "s#^$HOME/#/root/#")"
    done
    # Whatever those settings name by its path has to be there too: wheel directories, local indexes, certificates.
    { reaching; cat /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf" 2>/dev/null || true; } |
        grep -oE '(file://|[= ])/[^ ,]+' | sed -E 's#^(file://|[= ])##; s#/simple/*$##' | sort -u |
        while read -r path; do lend "$path"; done
}

make_devices() {
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    for name in null zero full random urandom tty; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
}

# Second half: runs in mount and process namespaces of its own, so that nothing outlives it.
inside() {
    root=$1
    shift
    make_devices
    hand_in_configuration
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # as Debian's own images: packages start no services
    chmod 755 "$root/usr/sbin/policy-rc.d"
    reaching >"$root/root/.environment"
    cat >"$root/root/run" <<'END'
cd /root/battery-agent || exit 2
while IFS= read -r line; do export "$line"; done </root/.environment
exec make "$@"
END
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        chroot "$root" /bin/sh /root/run "$@"
}

if [ "${1-}" = --inside ]; then
    shift
    inside "$@"
    exit
fi

[ "$(id -u)" = 0 ] || fail "a container needs root: sudo $0 $*"
[ -f "$base" ] || build_base
git -C "$repository" diff --quiet HEAD || echo 'fresh-clone: uncommitted changes are not in the clone' >&2

container=$(mktemp -d "${TMPDIR:-/tmp}/battery-agent.XXXXXX")
[ -n "${KEEP-}" ] || trap 'rm -rf --one-file-system "$container"' EXIT
commit=$(git -C "$repository" rev-parse "${REF:-HEAD}")
tar -C "$container" -xf "$base"
git clone --quiet --no-local --no-checkout "$repository" "$container/root/battery-agent"
git -C "$container/root/battery-agent" -c advice.detachedHead=false checkout --quiet "$commit"

echo "fresh-clone: make $* at $(git -C "$repository" log -1 --format='%h %s' "$commit")" >&2
started=$(date +%s)
status=0
unshare --mount --pid --fork --kill-child --propagation private "$0" --inside "$container" "$@" || status=$?
echo "fresh-clone: make $* ended with $status after $(($(date +%s) - started)) s" >&2
[ -z "${KEEP-}" ] || echo "fresh-clone: kept in $container" >&2
exit $status
