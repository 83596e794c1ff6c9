"""Build dist/batteryd_VERSION_amd64.deb: the same commit gives the same bytes.

    python3.11 scripts/deb.py [--version 0.1.0] [--output dist]

The package is an environment of its own, /opt/batteryd, on Debian's python3: the product and what it runs on, from the
lock with hashes, wheels only, compiled; around it what systemd/ holds. Nothing is read but what git tracks and what the
lock pins. Needs python3.11 with venv, git and dpkg-deb; the bytes also depend on the patch version of that Python and
of dpkg-deb, so build on the release that the package is for.
"""

from __future__ import annotations

import argparse
import email
import gzip
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SYSTEMD, PARTS = ROOT / "systemd", ROOT / "systemd" / "deb"
PYTHON = (3, 11)  # of Debian 12; compiled wheels and bytecode fit this one alone
HOME = Path("opt/batteryd")
SITE = HOME / "lib" / "python{}.{}".format(*PYTHON) / "site-packages"
DOC = Path("usr/share/doc/batteryd")
SCRIPTS = ("postinst", "prerm", "postrm")
BUILD_ONLY = {"setuptools"}  # in the lock to build with, not to run with
# Which package of Debian brings a library that a wheel is linked with.
LIBRARIES = {
    **dict.fromkeys(("libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1"), "libc6"),
    "ld-linux-x86-64.so.2": "libc6",
    "libgcc_s.so.1": "libgcc-s1",
}
COPIED = {
    "systemd/batteryd.service": "usr/lib/systemd/system/batteryd.service",
    "systemd/batteryd-renew.service": "usr/lib/systemd/system/batteryd-renew.service",
    "systemd/batteryd-renew.timer": "usr/lib/systemd/system/batteryd-renew.timer",
    "systemd/batteryd.sysusers": "usr/lib/sysusers.d/batteryd.conf",
    "systemd/batteryd.tmpfiles": "usr/lib/tmpfiles.d/batteryd.conf",
    "systemd/60-batteryd.rules": "usr/lib/udev/rules.d/60-batteryd.rules",
    "systemd/batteryd.toml.example": "etc/batteryd/batteryd.toml.example",
    "systemd/deb/lintian-overrides": "usr/share/lintian/overrides/batteryd",
    "README.md": f"{DOC}/README.md",
    "docs/install.md": f"{DOC}/install.md",
    "docs/integrator.md": f"{DOC}/integrator.md",
    "docs/local-api.md": f"{DOC}/local-api.md",
    "drivers/profiles/ADDING.md": f"{DOC}/ADDING.md",
}
# -I: nothing of the caller's shell or folder decides what is imported. faulthandler: the watchdog's abort tells where.
ENTRIES = {"batteryd": ("agent.daemon", "-IuXfaulthandler"), "batteryctl": ("agent.cli.main", "-I")}
ENTRY = "#!/{home}/bin/python3 {flags}\nimport sys\n\nfrom {module} import main\n\nsys.exit(main())\n"


class Unfit(Exception):
    """Why no package can be made here, a sentence."""


def main() -> int:
    """0, or 2 with a sentence."""
    parser = argparse.ArgumentParser(prog="scripts/deb.py", description=__doc__.splitlines()[0])
    parser.add_argument("--version", help="of the package; default: that of agent/version.py")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIRECTORY")
    args = parser.parse_args()
    try:
        print(build(args.version or product_version(), args.output))
    except (Unfit, subprocess.CalledProcessError) as error:
        detail = (getattr(error, "stderr", None) or "").strip()
        print("\n".join(filter(None, (f"deb: {error}", detail))), file=sys.stderr)
        return 2
    return 0


def build(version: str, output: Path) -> Path:
    """The package, in `output`."""
    if sys.version_info[:2] != PYTHON:
        raise Unfit(f"this is Python {sys.version.split()[0]}, the package is for {PYTHON[0]}.{PYTHON[1]} of Debian 12")
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+~]*", version):
        raise Unfit(f"{version!r} is no version of a native Debian package, expected such as 0.1.0 or 0.1.1~rc1")
    epoch = commit_time()
    with tempfile.TemporaryDirectory(prefix="batteryd-deb.") as name:
        work = Path(name)
        root = work / "root"
        install(work, root)
        write_texts(root, version, epoch)
        compile_all(root)
        write_record(root / SITE)
        write_control(root, version)
        refuse_leaks(root, (str(work), str(ROOT)))
        settle(root, epoch)
        output.mkdir(parents=True, exist_ok=True)
        package = output / f"batteryd_{version}_amd64.deb"
        # One thread: the number of cores must not change the bytes.
        quiet(["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", str(root), str(package)],
              SOURCE_DATE_EPOCH=str(epoch))  # fmt: skip
    return package


def quiet(command: list[str], cwd: Path = ROOT, **environment: str) -> str:
    """Run, return stdout; its stderr is shown only if it fails."""
    run = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, check=True, capture_output=True, encoding="utf-8"
    )
    return run.stdout


def product_version() -> str:
    """As agent/version.py says it."""
    found = re.search(r'^VERSION = "(.+)"$', (ROOT / "agent" / "version.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise Unfit("agent/version.py has no line VERSION = ...")
    return found[1]


def commit_time() -> int:
    """When the commit was made: the time of every file. SOURCE_DATE_EPOCH goes before."""
    if (given := os.environ.get("SOURCE_DATE_EPOCH")) is not None:
        return int(given)
    if quiet(["git", "status", "--porcelain", "--untracked-files=no"]):
        print("deb: uncommitted changes are in this package", file=sys.stderr)
    return int(quiet(["git", "log", "-1", "--format=%ct"]))


# --- what is installed -----------------------------------------------------------------------------------------------
def install(work: Path, root: Path) -> None:
    """Product and dependencies into SITE, entry points, the system's files."""
    site = root / SITE
    site.mkdir(parents=True)
    env, source = work / "env", work / "source"
    building, running = split_lock((ROOT / "requirements" / "run.txt").read_text("utf-8"), work)
    copy_tracked(source)
    quiet([sys.executable, "-m", "venv", str(env)])
    pip = [str(env / "bin" / "pip"), "--disable-pip-version-check", "--quiet", "install"]
    locked = ["--require-hashes", "--only-binary=:all:", "-r"]
    quiet([*pip, *locked, str(building)])
    target = ["--target", str(site), "--no-compile", "--no-deps"]
    quiet([*pip, *target, *locked, str(running)])
    quiet([*pip, *target, "--no-index", "--no-build-isolation", str(source)], cwd=work)
    tidy(site)
    (root / HOME / "bin").mkdir()
    (root / HOME / "bin" / "python3").symlink_to("/usr/bin/python3")
    (root / HOME / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n", "utf-8")
    (root / "usr" / "bin").mkdir(parents=True)
    for name, (module, flags) in ENTRIES.items():
        script = root / HOME / "bin" / name
        script.write_text(ENTRY.format(home=HOME, flags=flags, module=module), "utf-8")
        script.chmod(0o755)
        (root / "usr" / "bin" / name).symlink_to(f"/{script.relative_to(root)}")
    for origin, place in COPIED.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / origin, root / place)


def split_lock(text: str, work: Path) -> tuple[Path, Path]:
    """Two locks: what builds the product, and what it runs on."""
    entries = re.split(r"\n(?=[a-z0-9])", text)
    paths = work / "build.txt", work / "run.txt"
    for path, builds in zip(paths, (True, False), strict=True):
        chosen = [entry for entry in entries if (entry.partition("==")[0] in BUILD_ONLY) is builds]
        path.write_text("\n".join(chosen) + "\n", "utf-8")
    return paths


def copy_tracked(target: Path) -> None:
    """What git tracks of the product: no left-over of an earlier build gets in."""
    names = quiet(["git", "ls-files", "-z", "agent", "drivers", "pyproject.toml", "README.md", "LICENSE"])
    for name in filter(None, names.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)


def tidy(site: Path) -> None:
    """Take away what pip keeps for itself: dpkg owns these files, and direct_url.json names this machine."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    for info in site.glob("*.dist-info"):
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            (info / name).unlink(missing_ok=True)


def compile_all(root: Path) -> None:
    """Bytecode that is taken as it is: no look at the source at start, none of this machine's paths in it."""
    how = ["-q", "-j1", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
    quiet([sys.executable, "-m", "compileall", *how, str(root / SITE)], PYTHONHASHSEED="0")


def write_record(site: Path) -> None:
    """RECORD of the product, source and bytecode: the agent holds what is on the disk against it, daily."""
    files = [path for name in ("agent", "drivers") for path in sorted((site / name).rglob("*")) if path.is_file()]
    rows = []
    for path in files:
        data = path.read_bytes()
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path.relative_to(site)},sha256={digest},{len(data)}\n")
    (info,) = site.glob("battery_agent-*.dist-info")
    (info / "RECORD").write_text("".join(rows), "utf-8")


# --- texts -----------------------------------------------------------------------------------------------------------
def write_texts(root: Path, version: str, epoch: int) -> None:
    """Copyright, changelog, manual pages, completion: made from the product, so that they cannot be out of date."""
    doc, man = root / DOC, root / "usr" / "share" / "man"
    sections = "\n".join(licences(root / SITE))
    (doc / "copyright").write_text((PARTS / "copyright").read_text("utf-8") + sections, "utf-8")
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch))
    entry = (PARTS / "changelog").read_text("utf-8").format(version=version, date=date, maintainer=maintainer())
    compress(doc / "changelog.gz", entry)
    for page in ("batteryd.8", "batteryctl.1"):
        folder = man / f"man{page[-1]}"
        folder.mkdir(parents=True, exist_ok=True)
        text = (PARTS / page).read_text("utf-8").replace("@DATE@", time.strftime("%Y-%m-%d", time.gmtime(epoch)))
        rows = "".join(f".TP\n.B {name}\n{text}.\n" for name, text in verbs(root).items())
        compress(folder / f"{page}.gz", text.replace("@VERSION@", version).replace("@VERBS@\n", rows))
    completion = root / "usr" / "share" / "bash-completion" / "completions" / "batteryctl"
    completion.parent.mkdir(parents=True)
    completion.write_text(
        (PARTS / "completion.bash").read_text("utf-8").replace("@VERBS@", " ".join(verbs(root))), "utf-8"
    )


def verbs(root: Path) -> dict[str, str]:
    """Verb -> its help, from the installed product."""
    code = "from agent.cli.verbs import VERBS\nfor name, verb in VERBS.items(): print(name, verb.help, sep='\\t')"
    lines = quiet([sys.executable, "-B", "-c", code], PYTHONPATH=str(root / SITE)).splitlines()
    return {name: text for name, _, text in (line.partition("\t") for line in lines)}


def licences(site: Path) -> Iterable[str]:
    """A paragraph for each bundled package, from its own metadata."""
    for path in sorted(site.glob("*.dist-info/METADATA")):
        data = email.message_from_string(path.read_text("utf-8"))
        if data["Name"] == "battery-agent":
            continue
        said = data["License-Expression"] or ", ".join(
            line.rpartition(" :: ")[2] for line in data.get_all("Classifier", []) if line.startswith("License ::")
        )
        said = said or (data["License"] or "").splitlines()[0]
        who = data["Author-Email"] or data["Author"] or data["Maintainer-Email"] or f"the authors of {data['Name']}"
        yield (
            f"Files: {HOME}/*/{data['Name'].replace('-', '_')}*\nCopyright: {' '.join(who.split())}\n"
            f"License: {said}\n {data['Name']} {data['Version']}; its own text, where it has one, is in\n"
            f" /{path.parent.relative_to(site.parents[4])}.\n"
        )


def compress(path: Path, text: str) -> None:
    """gzip without name and time."""
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


# --- control ---------------------------------------------------------------------------------------------------------
def maintainer() -> str:
    """As the control file says."""
    return str(email.message_from_string((PARTS / "control").read_text("utf-8"))["Maintainer"])


def write_control(root: Path, version: str) -> None:
    """DEBIAN/: control, conffiles, md5sums, maintainer scripts."""
    control = root / "DEBIAN"
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]
    size = sum(-(-path.stat().st_size // 1024) for path in files) + sum(path.is_dir() for path in root.rglob("*"))
    control.mkdir()
    depends = ", ".join(["python3 (>= 3.11~)", "python3 (<< 3.12~)", *library_packages(root / SITE)])
    text = (PARTS / "control").read_text("utf-8")
    (control / "control").write_text(text.format(version=version, depends=depends, size=size), "utf-8")
    (control / "conffiles").write_text("".join(f"/{name}\n" for name in COPIED.values() if name.startswith("etc/")))
    (control / "md5sums").write_text("".join(line for line in sums if "  etc/" not in line), "utf-8")
    for name in SCRIPTS:
        shutil.copyfile(PARTS / name, control / name)
        (control / name).chmod(0o755)


def library_packages(site: Path) -> list[str]:
    """Packages of the C libraries that the wheels are linked with; libc in the newest version that one asks for."""
    own = {path.name for path in site.rglob("*.so*")}
    needed, glibc = set[str](), (2, 17)
    for path in sorted(site.rglob("*.so*")):
        data = path.read_bytes()
        needed |= needed_libraries(data) - own
        asked = [(int(major), int(minor)) for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", data)]
        glibc = max(glibc, *asked)
    if unknown := sorted(needed - set(LIBRARIES)):
        raise Unfit(f"a wheel is linked with {', '.join(unknown)}: say in LIBRARIES which package brings it")
    names = sorted({LIBRARIES[name] for name in needed})
    return [f"libc6 (>= {glibc[0]}.{glibc[1]})" if name == "libc6" else name for name in names]


def needed_libraries(data: bytes) -> set[str]:
    """DT_NEEDED of a 64-bit little-endian ELF file (System V ABI, chapters 4 and 5)."""
    if data[:6] != b"\x7fELF\x02\x01":
        return set()
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + n * size) for n in range(count)]
    entries: list[tuple[int, int]] = []
    for kind, _, start, _, _, length in headers:
        if kind == 2:  # PT_DYNAMIC
            entries = list(struct.iter_unpack("<QQ", data[start : start + length]))
    where = next((value for tag, value in entries if tag == 5), 0)  # DT_STRTAB, an address
    for kind, _, start, address, _, length in headers:
        if kind == 1 and address <= where < address + length:  # PT_LOAD that holds it
            names = start + where - address
            return {data[names + v : data.index(b"\0", names + v)].decode() for tag, v in entries if tag == 1}
    return set()


def refuse_leaks(root: Path, words: Iterable[str]) -> None:
    """Nothing of the machine that built it may be inside."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if found := [word for word in words if word.encode() in data]:
                raise Unfit(f"{path.relative_to(root)} names {found[0]}, a path of this machine")


def settle(root: Path, epoch: int) -> None:
    """Modes and times: those of no umask and no clock. Owners are dpkg-deb's affair."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or path.parent.name == "bin" or path.name in SCRIPTS
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


if __name__ == "__main__":
    sys.exit(main())
