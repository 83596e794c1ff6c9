"""The package: the same commit gives the same bytes, with nothing of the machine that built it."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import config, selftest
from agent.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
EXAMPLE = ROOT / "systemd" / "batteryd.toml.example"


def missing() -> str | None:
    """Why no package can be built here."""
    for tool in ("dpkg-deb", "git", PYTHON):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    asked = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))"
    if subprocess.run([PYTHON, "-c", asked], capture_output=True, check=False).returncode:
        return f"{PYTHON} is not 3.11 with venv: the package is for Debian 12 and built there"
    return None


pytestmark = pytest.mark.timeout(900)  # a build reads packages from the network, on a machine with other work
built_here = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def build(output: Path, umask: int) -> Path:
    """`make deb`, under another umask."""
    command = [PYTHON, str(ROOT / "scripts" / "deb.py"), "--output", str(output)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, umask=umask)
    assert run.returncode == 0, run.stderr
    return Path(run.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("first"), 0o077)


@pytest.fixture(scope="module")
def archive(package: Path) -> Iterator[tarfile.TarFile]:
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        yield tar


def content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"./{name}")
    assert file is not None
    return file.read()


def field(package: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


@built_here
@pytest.mark.slow
def test_same_commit_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    assert build(tmp_path, 0o022).read_bytes() == package.read_bytes()


@built_here
@pytest.mark.slow
def test_owners_modes_and_times_are_those_of_no_machine(archive: tarfile.TarFile) -> None:
    members = archive.getmembers()

    assert {(m.uname, m.gname, m.uid, m.gid) for m in members} == {("root", "root", 0, 0)}
    assert {m.mode for m in members if m.isdir()} == {0o755}
    assert {m.name for m in members if m.isfile() and m.mode == 0o755} == {
        "./opt/batteryd/bin/batteryd", "./opt/batteryd/bin/batteryctl"
    }  # fmt: skip
    assert {m.mode for m in members if m.isfile()} == {0o644, 0o755}
    assert len({m.mtime for m in members}) == 1


@built_here
@pytest.mark.slow
def test_files_are_where_a_gateway_expects_them(archive: tarfile.TarFile) -> None:
    outside = {m.name for m in archive.getmembers() if not m.isdir() and not m.name.startswith("./opt/batteryd/lib/")}

    assert outside == {
        "./etc/batteryd/batteryd.toml.example",
        "./opt/batteryd/bin/batteryctl",
        "./opt/batteryd/bin/batteryd",
        "./opt/batteryd/bin/python3",
        "./opt/batteryd/pyvenv.cfg",
        "./usr/bin/batteryctl",
        "./usr/bin/batteryd",
        "./usr/lib/systemd/system/batteryd-renew.service",
        "./usr/lib/systemd/system/batteryd-renew.timer",
        "./usr/lib/systemd/system/batteryd.service",
        "./usr/lib/sysusers.d/batteryd.conf",
        "./usr/lib/tmpfiles.d/batteryd.conf",
        "./usr/lib/udev/rules.d/60-batteryd.rules",
        "./usr/share/bash-completion/completions/batteryctl",
        *(
            f"./usr/share/doc/batteryd/{name}"
            for name in ("ADDING.md README.md changelog.gz copyright install.md integrator.md local-api.md".split())
        ),
        "./usr/share/lintian/overrides/batteryd",
        "./usr/share/man/man1/batteryctl.1.gz",
        "./usr/share/man/man8/batteryd.8.gz",
    }


@built_here
@pytest.mark.slow
def test_it_brings_the_runtime_lock_and_nothing_else(archive: tarfile.TarFile) -> None:
    lock = (ROOT / "requirements" / "run.txt").read_text("utf-8")
    locked = {f"{n.replace('-', '_')}-{v}" for n, v in re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE)}
    found = {m.name.split("/")[-1].removesuffix(".dist-info") for m in archive.getmembers() if m.name.endswith("-info")}
    product = {name for name in found if name.startswith("battery_agent-")}

    assert found - product == {name for name in locked if not name.startswith("setuptools-")}
    assert len(product) == 1


@built_here
@pytest.mark.slow
def test_product_is_this_source_and_compiled(archive: tarfile.TarFile) -> None:
    site = "opt/batteryd/lib/python3.11/site-packages"
    names = subprocess.run(
        ["git", "ls-files", "agent", "drivers"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    source = [name for name in names.stdout.split() if (ROOT / name).is_file()]
    packed = {m.name for m in archive.getmembers()}

    assert [name for name in source if content(archive, f"{site}/{name}") != (ROOT / name).read_bytes()] == []
    for name in source:
        path = Path(name)
        if path.suffix == ".py":
            compiled = f"{site}/{path.parent}/__pycache__/{path.stem}.cpython-311.pyc"
            assert f"./{compiled}" in packed
            # Flags of PEP 552: bit 0 by hash, bit 1 checked against the source, which costs a read of it at each start.
            assert int.from_bytes(content(archive, compiled)[4:8], "little") == 0b01


@built_here
@pytest.mark.slow
def test_the_agent_can_hold_what_is_installed_against_what_was_packed(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    site = tmp_path / "opt" / "batteryd" / "lib" / "python3.11" / "site-packages"
    assert selftest.Files({}, site).look() == selftest.FilesLooked((), ())
    compiled = next(site.glob("agent/__pycache__/gate.*.pyc"))  # what runs: the source beside it is never read
    compiled.write_bytes(compiled.read_bytes() + b"0")
    assert "gate" in selftest.Files({}, site).look().changed[0]


@built_here
@pytest.mark.slow
def test_nothing_tells_of_the_machine_that_built_it(archive: tarfile.TarFile) -> None:
    words = [str(ROOT), "batteryd-deb.", str(Path(sys.prefix)), os.uname().nodename]
    own = [word.encode() for word in words if len(word) > 4]
    telling = []
    for member in archive.getmembers():
        data = content(archive, member.name.removeprefix("./")) if member.isfile() else member.linkname.encode()
        telling += [(member.name, word) for word in own if word in data]

    assert telling == []


@built_here
@pytest.mark.slow
def test_control_says_what_it_needs_and_keeps(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--control", package, tmp_path / "control"], check=True)

    assert field(package, "Architecture") == "amd64"
    assert "python3 (>= 3.11~), python3 (<< 3.12~), libc6 (>= 2." in field(package, "Depends")
    assert (tmp_path / "control" / "conffiles").read_text() == "/etc/batteryd/batteryd.toml.example\n"
    for script in ("postinst", "prerm", "postrm"):
        assert (tmp_path / "control" / script).stat().st_mode & 0o777 == 0o755


@built_here
@pytest.mark.slow
def test_manual_and_completion_know_every_verb(archive: tarfile.TarFile) -> None:
    page = gzip.decompress(content(archive, "usr/share/man/man1/batteryctl.1.gz")).decode()
    completion = content(archive, "usr/share/bash-completion/completions/batteryctl").decode()

    assert re.findall(r"^\.TP\n\.B ([a-z-]+)\n", page, re.MULTILINE) == list(VERBS)
    assert " ".join(VERBS) in completion
    assert "@" not in page


@built_here
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
def test_lintian_finds_nothing(package: Path) -> None:
    run = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", str(package)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_plain_shell(script: str) -> None:
    path = ROOT / "systemd" / "deb" / script
    run = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert "\nset -e\n" in path.read_text("utf-8")


def test_example_is_the_one_that_the_daemon_shows(tmp_path: Path) -> None:
    shown = tmp_path / "batteryd.toml"
    shown.write_text(config.EXAMPLE, "utf-8")

    assert config.load(EXAMPLE).file == config.load(shown).file


def test_what_the_example_leaves_out_is_right_too(tmp_path: Path) -> None:
    """Every commented section, taken in."""
    text = re.sub(r"^#(?=[a-z\[])", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    path = tmp_path / "batteryd.toml"
    path.write_text(text, "utf-8")
    file = config.load(path).file

    assert file.link is not None
    assert file.link.sign_key.startswith("/etc/batteryd/keys/")
    assert file.local.technician_gids
    assert [bus.name for bus in file.bus] == ["rs485", "lan"]
