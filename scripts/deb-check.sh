#!/bin/sh
# Proof of the package: boot a Debian 12 with systemd in a container, install dist/batteryd_*.deb there, let the hardened
# unit serve simulated devices, then upgrade, remove, reinstall and purge.
#
#   scripts/deb-check.sh [PACKAGE]            a report of ok and xx lines; exit 1 if one is xx
#
# It needs root, debootstrap and systemd-nspawn (Debian: systemd-container). The base is built once and kept in
# FRESH_CACHE; KEEP=1 keeps the container's directory for a look inside. The container has no network of its own use:
# everything that it installs is in the base or is the package.
set -eu

suite=bookworm
cache=${FRESH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/battery-agent}
repository=$(cd "$(dirname "$0")/.." && pwd)
base=$cache/$suite-$(dpkg --print-architecture)-systemd.tar
python=${PYTHON:-/usr/bin/python3}

fail() {
    echo "deb-check: $1" >&2
    exit 2
}

build_base() {
    echo "deb-check: building the $suite base once, into $base" >&2
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/base.XXXXXX")
    # The mirror that this machine itself uses; debootstrap's own default if there is none.
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 2>/dev/null | awk -v s=$suite '$2 == s {print $1; exit}')
    # shellcheck disable=SC2086  # no mirror, no argument
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,udev,python3 $suite "$scratch" $mirror \
        >"$scratch.log" 2>&1 || fail "debootstrap failed: $scratch.log"
    rm -rf "$scratch"/var/cache/apt/archives/*.deb
    tar -C "$scratch" -cf "$base.part" . && mv "$base.part" "$base"
    rm -rf "$scratch" "$scratch.log"
}

[ "$(id -u)" = 0 ] || fail "a container needs root: sudo $0 $*"
for tool in debootstrap systemd-nspawn; do
    command -v $tool >/dev/null || fail "$tool is missing; apt-get install debootstrap systemd-container"
done
[ -f "$base" ] || build_base

package=${1-}
if [ -z "$package" ]; then package=$("$python" "$repository/scripts/deb.py"); fi
version=$(dpkg-deb -f "$package" Version)

container=$(mktemp -d "${TMPDIR:-/tmp}/batteryd-deb.XXXXXX")
[ -n "${KEEP-}" ] || trap 'rm -rf --one-file-system "$container"' EXIT INT TERM
tar -C "$container" -xf "$base"
chmod 755 "$container" # the users inside have to get through it
mkdir "$container/srv/bench"
cp "$package" "$container/srv/batteryd.deb"
cp "$("$python" "$repository/scripts/deb.py" --version "$version+check" --output "$container/srv/next")" \
    "$container/srv/next.deb"
# The bench's devices run on the packaged environment: they need nothing that the daemon does not have.
git -C "$repository" ls-files -z drivers/profiles hil | tar -C "$repository" --null -T - -cf - | tar -C "$container/srv/bench" -xf -
cp "$repository/scripts/deb-inside.sh" "$container/srv/inside"
cat >"$container/etc/systemd/system/deb-check.service" <<'END'
[Unit]
After=dbus.service systemd-tmpfiles-setup.service
[Service]
Type=oneshot
Environment=HOME=/root LANG=C.UTF-8
ExecStart=/bin/sh /srv/inside
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/srv/report
StandardError=append:/srv/report
END
mkdir -p "$container/etc/systemd/system/multi-user.target.wants"
ln -s ../deb-check.service "$container/etc/systemd/system/multi-user.target.wants/"

# Without systemd outside there is nobody to register the container with; its cgroups are the ones that we are in.
register=
[ -d /run/systemd/system ] || register=--keep-unit
# bpf: systemd inside keeps devices and addresses away from a unit by programs of the kernel.
# shellcheck disable=SC2086  # no option, no argument
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout --foreground --kill-after=10 420 systemd-nspawn --quiet --register=no $register \
    --capability=CAP_BPF,CAP_SYS_RESOURCE,CAP_NET_ADMIN --system-call-filter=bpf --private-network \
    --machine=deb-check --directory="$container" --boot </dev/null >"$container/srv/console" 2>&1 || true
[ -s "$container/srv/report" ] || { tail -n 20 "$container/srv/console" >&2; fail "the container did not boot"; }
cat "$container/srv/report"
[ -z "${KEEP-}" ] || echo "deb-check: kept in $container" >&2
grep -q '^done$' "$container/srv/report" && ! grep -q '^xx ' "$container/srv/report"
