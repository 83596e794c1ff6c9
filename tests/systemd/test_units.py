"""The files for the gateway's system agree with each other and with the product's defaults."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from agent import daemon
from agent.config import AgentSection
from agent.release import TIMEOUT_NS

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "systemd"
UNIT = (SYSTEMD / "batteryd.service").read_text("utf-8")


def settings(name: str) -> list[str]:
    """Every value that the unit gives to `name`, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def test_defaults_are_where_the_unit_allows_to_write() -> None:
    defaults = AgentSection(id="home", fleet="example")

    assert defaults.state_dir == f"/var/lib/{settings('StateDirectory')[0]}"
    assert Path(defaults.socket).parent == Path("/run", settings("RuntimeDirectory")[0])


def test_unit_starts_and_releases_by_the_installed_script() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    start, after = settings("ExecStart")[0], settings("ExecStopPost")[0]

    assert Path(start.split()[0]).name in scripts
    assert after == f"{start} --release"


def test_stop_is_given_the_time_that_release_may_take() -> None:
    (seconds,) = settings("TimeoutStopSec")

    assert int(seconds.removesuffix("s")) * 10**9 > TIMEOUT_NS


def test_it_is_never_given_up_but_for_a_configuration_that_is_refused() -> None:
    assert settings("Restart") == ["always"]
    assert settings("StartLimitIntervalSec") == ["0"]  # a crash loop is the agent's own fault to tell: it only watches
    assert settings("RestartPreventExitStatus") == [str(daemon.USAGE)]


def test_it_waits_for_the_configuration_that_it_is_started_with() -> None:
    (path,) = settings("ConditionPathExists")

    assert f"--config {path}" in settings("ExecStart")[0]


def test_user_and_groups_are_made() -> None:
    made = re.findall(r"^([ugm])\s+(\S+)\s+(\S+)", (SYSTEMD / "batteryd.sysusers").read_text("utf-8"), re.MULTILINE)
    user = settings("User")[0]

    assert ("u", user, "-") in made
    assert [("m", user, group) for group in settings("SupplementaryGroups")] == [row for row in made if row[0] == "m"]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("ProcSubset=pid", "hides the kernel's boot id"),
        ("ProtectClock=yes", "refuses adjtimex, by which NTP's state is read"),
        ("LoadCredential=", "keeps a gateway without keys from starting"),
        ("After=network-online.target", "leaves a home without Internet unprotected"),
    ],
)
def test_unit_avoids_what_would_stop_protection(setting: str, reason: str) -> None:
    assert not re.search(rf"^{setting}", UNIT, re.MULTILINE), reason


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("User", ["batteryd"]),
        ("UMask", ["0077"]),
        ("StateDirectoryMode", ["0700"]),
        ("LimitCORE", ["0"]),
        ("CapabilityBoundingSet", [""]),
        ("AmbientCapabilities", [""]),
        ("NoNewPrivileges", ["yes"]),
        ("ProtectSystem", ["strict"]),
        ("ProtectHome", ["yes"]),
        ("PrivateTmp", ["yes"]),
        ("MemoryDenyWriteExecute", ["yes"]),
        ("RestrictAddressFamilies", ["AF_UNIX AF_INET AF_INET6"]),
        ("SocketBindDeny", ["any"]),
        ("DevicePolicy", ["closed"]),
        ("DeviceAllow", [f"char-tty{kind} rw" for kind in ("USB", "ACM", "AMA", "S")]),
    ],
)
def test_the_unit_takes_away_what_an_agent_never_needs(name: str, values: list[str]) -> None:
    """Held by name as well: the score below would forgive one of them."""
    assert settings(name) == values


def test_the_unit_filters_system_calls() -> None:
    allowed, *rest = settings("SystemCallFilter")
    assert allowed == "@system-service"
    assert {"@privileged", "@mount", "@module", "@raw-io", "@debug"} <= set(rest[0].removeprefix("~").split())
    assert rest[1:] == ["adjtimex"]
    assert settings("SystemCallErrorNumber") == ["EPERM"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize(
    ("name", "tenths"),
    [("batteryd.service", 20), ("batteryd-renew.service", 30)],  # the second is root, for it writes beside the keys
)
def test_unit_allows_little_else(name: str, tenths: int) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={tenths}", str(SYSTEMD / name)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-200:]


def test_renewal_runs_where_a_gateway_enrolled_online_and_reaches_its_files_alone() -> None:
    renew = (SYSTEMD / "batteryd-renew.service").read_text("utf-8")
    timer = (SYSTEMD / "batteryd-renew.timer").read_text("utf-8")
    for text in (renew, timer):
        assert "ConditionPathExists=/var/lib/batteryd/registrar" in text
    assert "keys rotate tls --due" in renew
    assert {"ProtectSystem=strict", "ReadWritePaths=/etc/batteryd /var/lib/batteryd"} <= set(renew.splitlines())
    assert "RandomizedDelaySec=12h" in timer
