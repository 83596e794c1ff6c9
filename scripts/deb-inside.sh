#!/bin/sh
# The half of scripts/deb-check.sh that runs inside the booted container. One line a fact: ok, xx, or a figure.
set -u

python=/opt/batteryd/bin/python3
config=/etc/batteryd/batteryd.toml
cd /srv || exit 2

say() { printf '%s\n' "$*"; }

# check SENTENCE COMMAND...: its output is shown when it fails.
check() {
    sentence=$1
    shift
    if output=$("$@" 2>&1); then say "ok  $sentence"; else
        say "xx  $sentence: $*"
        say "$output" | sed 's/^/      /' | tail -n 15
    fi
}

not() { ! "$@"; }
state() { [ "$(systemctl is-active batteryd)" = "$1" ]; }
enabled() { [ "$(systemctl is-enabled batteryd)" = "$1" ]; }
property() { systemctl show --property="$1" --value batteryd; }
pid() { property MainPID; }
says() { grep -q -- "$1" "$2" || { cat "$2"; false; }; }
status_is() { grep -qE "^$1:[[:space:]]+$2\$" "/proc/$(pid)/status" || { cat "/proc/$(pid)/status"; false; }; }
# In the unit's own view of the file system.
seen() { nsenter --target "$(pid)" --mount --wd=/ -- "$@"; }
install() { DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 --yes --no-install-recommends --reinstall --allow-downgrades install "$1" >log 2>&1; }
up() { batteryctl wait --for up --timeout 60; }
# The unit has a new process within a minute.
replaced() {
    old=$1
    for _ in $(seq 600); do
        new=$(pid)
        [ "$new" != "$old" ] && [ "$new" != 0 ] && state active && return
        sleep 0.1
    done
    systemctl status batteryd
    return 1
}

serve() {
    profile=$1
    shift
    (cd bench && exec $python -m hil serve "$profile" "$@" >"/srv/$profile.json" 2>"/srv/$profile.log") &
    for _ in $(seq 300); do [ -s "$profile.json" ] && return; sleep 0.1; done
    say "xx  hil serve $profile did not begin to serve"
    cat "$profile.log"
}

# A real line is exclusive only while somebody holds it; a pty stays so until both of its ends are closed.
free_lines() {
    $python -c '
import fcntl, os, sys, termios, time
lines = [os.open(path, os.O_RDWR | os.O_NOCTTY) for path in sys.argv[1:]]
while True:
    for line in lines:
        fcntl.ioctl(line, termios.TIOCNXCL)
    time.sleep(0.1)' "$@" &
}

write_config() {
    cat >$config <<END
[agent]
id = "home-0001"
fleet = "example"
[site]
nameplate_charge_w = 11400
nameplate_discharge_w = 11400
capacity_wh = 25000
import_limit_w = 24000
export_limit_w = 11400
[[bus]]
name = "bms"
port = "/run/bench/bms"
baud = 19200
[[bus]]
name = "meter"
tcp = "127.0.0.1:1502"
[[bus]]
name = "inverter"
port = "/run/bench/inverter"
baud = 19200
[[device]]
name = "bms"
role = "battery"
bus = "bms"
unit = 1
profile = "seplos_v3"
[[device]]
name = "meter"
role = "meter"
bus = "meter"
unit = 2
profile = "eastron_sdm630"
[[device]]
name = "inverter"
role = "inverter"
bus = "inverter"
unit = 3
profile = "sunspec_hybrid"
END
}

say "# $(. /etc/os-release && echo "$PRETTY_NAME"), $(systemctl --version | head -n 1), kernel $(uname -r)"
say "# first installation"
check "apt installs the package" install ./batteryd.deb
command -v batteryd >/dev/null || { cat log; exit 1; }
check "it says what comes next" says "batteryd.toml.example" log
check "the unit is enabled" enabled enabled
check "it does not run without a configuration" state inactive
check "the user was made" getent passwd batteryd
check "its files are as packed" dpkg --verify batteryd
check "no library is missing" sh -c 'find /opt/batteryd -name "*.so*" -exec ldd {} + >libraries; ! grep "not found" libraries'
say "figure  package MB: $(($(stat -c %s batteryd.deb) / 100000))e-1, installed MB: $(du -sm /opt/batteryd | cut -f 1)"
cp $config.example $config
check "batteryd --check takes the example" batteryd --check
check "so does the service's user" runuser -u batteryd -- batteryd --check
check "the example's folder is closed to others" [ "$(stat -c '%a %U %G' /etc/batteryd)" = "750 root batteryd" ]
check "the keys' folder is the agent's alone" [ "$(stat -c '%a %U %G' /etc/batteryd/keys)" = "700 batteryd batteryd" ]

say "# a configuration that is refused"
echo 'nonsense = 1' >>$config
systemctl start batteryd 2>/dev/null
check "it fails and is not started again and again" [ "$(property Result) $(property NRestarts)" = "exit-code 0" ]
check "the journal says which key" sh -c 'journalctl -u batteryd | grep -q nonsense'
systemctl reset-failed batteryd

say "# the hardened unit on simulated devices"
mkdir /run/bench
serve seplos_v3 --pty /run/bench/bms
serve eastron_sdm630 --tcp 127.0.0.1:1502
serve sunspec_hybrid --pty /run/bench/inverter
for line in /run/bench/*; do chgrp dialout "$(readlink -f "$line")" && chmod 660 "$(readlink -f "$line")"; done
free_lines /run/bench/bms /run/bench/inverter
write_config
check "the unit starts" systemctl start batteryd
check "batteryctl reaches it" up
check "as its own user" status_is Uid "$(id -u batteryd | sed 's/.*/&\\s+&\\s+&\\s+&/')"
check "without a capability" status_is CapEff 0000000000000000
check "and none to gain" status_is CapBnd 0000000000000000
check "no new privileges" status_is NoNewPrivs 1
check "under a filter of system calls" status_is Seccomp 2
check "the configuration cannot be written" not seen touch $config
check "nor its own code" not seen touch /opt/batteryd/x
check "nor anything of the system" not seen touch /usr/x /var/lib/x /var/log/x
check "home directories are empty to it" [ -z "$(seen ls -A /root)" ]
check "it may write its state" seen sh -c 'touch /var/lib/batteryd/x && rm /var/lib/batteryd/x'
check "the state is nobody else's" [ "$(stat -c '%a %U' /var/lib/batteryd)" = "700 batteryd" ]
check "an unprivileged user may ask" runuser -u nobody -- batteryctl version
check "and may not stop it" sh -c 'runuser -u nobody -- batteryctl stop; [ $? = 4 ]'
check "no socket on the network" sh -c "! grep -l . /dev/null && ! awk '\$4 == \"0A\" {print \$2}' /proc/net/tcp /proc/net/tcp6 | grep -v ':05DE\$'"
check "systemd takes every line of the unit" sh -c '! journalctl -b _PID=1 | grep -iE "batteryd.service.*(unknown|ignor|not supported|failed to)" | grep -v "Failed to start"'
say "figure  $(systemd-analyze security --no-pager batteryd | tail -n 1 | sed 's/^[^A-Z]*//')"
say "figure  nice $(awk '{print $19}' "/proc/$(pid)/stat")"
sleep 20
batteryctl status
say "exit $?"
$python - "$(pid)" <<'END'
import subprocess, sys, time
from pathlib import Path

def rss(pid):
    return next(int(row.split()[1]) for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS"))

def best(command):
    times = []
    for _ in range(20):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - began)
    return min(times) * 1e3

bare = subprocess.Popen(["/usr/bin/python3", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
time.sleep(1)
daemon, idle = rss(sys.argv[1]), rss(bare.pid)
bare.communicate()
print(f"figure  RSS of the daemon {daemon / 1024:.1f} MB, of a bare Python {idle / 1024:.1f} MB: {daemon / idle:.2f} x")
verb, python, check = best(["batteryctl", "status"]), best(["/usr/bin/python3", "-c", "pass"]), best(["batteryd", "--check"])
print(f"figure  batteryctl status {verb:.0f} ms, a bare Python {python:.0f} ms: {verb / python:.2f} x; batteryd --check {check:.0f} ms")
END

say "# it dies, it hangs"
before=$(pid)
kill -KILL "$before"
check "killed: it is started again" replaced "$before"
check "and the inverter was released in between" sh -c 'journalctl -b -u batteryd -o cat | grep "^ok  .*releas"'
check "it answers" up
before=$(pid)
kill -STOP "$before"
check "hung: the watchdog ends it and it is started again" replaced "$before"
check "it answers" up

say "# the daily renewal, inside its own unit"
cat >/srv/renewing.py <<'END'
import os, socket, ssl
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric import ec
from agent.tools import keyfiles

owner = keyfiles.owner_of(Path("/var/lib/batteryd"))
assert owner.uid != 0, "the state is the agent's"
keyfiles.tls_key(Path("/etc/batteryd/keys/trial.key"), owner, anew=False)
facts = Path("/etc/batteryd/keys/trial.key").stat()
assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (owner.uid, owner.gid, 0o600), facts
Path("/etc/batteryd/keys/trial.key").unlink()
ssl.create_default_context()
with socket.socket() as line:
    line.settimeout(1)
    assert line.connect_ex(("127.0.0.1", 1)) != 0
for path in ("/usr/x", "/opt/batteryd/x"):
    try:
        Path(path).touch()
    except OSError:
        print("kept from", path)
print("renewing works")
END
mkdir -p /etc/systemd/system/batteryd-renew.service.d
printf '[Service]\nExecStart=\nExecStart=/opt/batteryd/bin/python3 -I /srv/renewing.py\n' >/etc/systemd/system/batteryd-renew.service.d/trial.conf
systemctl daemon-reload
touch /var/lib/batteryd/registrar
check "it may make a key and give it to the agent" systemctl start batteryd-renew
check "and says so" sh -c 'journalctl -b -u batteryd-renew -o cat | grep -q "renewing works"'
check "nor change its own code" sh -c 'journalctl -b -u batteryd-renew -o cat | grep -q "kept from /opt/batteryd/x"'
rm -r /etc/systemd/system/batteryd-renew.service.d /var/lib/batteryd/registrar
systemctl daemon-reload

say "# upgrade"
before=$(pid)
check "apt upgrades it" install ./next.deb
check "it was released before its files changed" says "stopped; the inverter was released" log
check "it runs again" up
check "with new code" [ "$(pid)" != "$before" ]
check "the configuration is as it was" grep -q /run/bench/bms $config
systemctl stop batteryd
check "one that was stopped by hand is upgraded too" install ./batteryd.deb
check "and stays stopped" state inactive
check "which is said" says "stays so" log
systemctl start batteryd

say "# remove, reinstall, purge"
ls /var/lib/batteryd | grep -v -e -wal -e -shm >kept # which SQLite folds into the store at its close
echo secret >/etc/batteryd/keys/sign.pem
check "apt removes it" sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 --yes remove batteryd >log 2>&1'
check "it was released" says "stopped; the inverter was released" log
check "it says what it kept" says "^batteryd: kept" log
check "the environment is gone" [ ! -e /opt/batteryd ]
check "configuration and keys are kept" [ -e $config -a -e /etc/batteryd/keys/sign.pem ]
check "so is the state" sh -c 'ls /var/lib/batteryd | cmp - kept && grep -q . kept'
check "installed again, it goes on" install ./batteryd.deb
check "as before" batteryctl wait --for up --timeout 60
check "purge" sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 --yes purge batteryd >log 2>&1'
check "says what it deleted" says "^batteryd: deleted" log
check "nothing is left" [ ! -e /etc/batteryd -a ! -e /var/lib/batteryd -a ! -e /opt/batteryd -a ! -e /usr/bin/batteryd ]
check "systemd does not know it any more" not systemctl cat batteryd
check "after a purge it installs as at first" install ./batteryd.deb
check "and waits for a configuration" state inactive
say 'done'
