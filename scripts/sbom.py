"""Write dist/batteryd_VERSION.cdx.json: what a gateway gets, as a CycloneDX 1.6 bill of materials.

    python scripts/sbom.py [--output FILE]

Every package of requirements/run.txt with its pinned version, the hashes that the lock accepts, its package URL, its
licence and what it brings along. Licences are read from the metadata of installed packages, and only of that very
version; run it in the project's environment (`make sbom`), where all are installed. No network. The same commit gives
the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "run.txt"
BUILD_ONLY = {"setuptools"}  # in the lock to build with: no gateway has it
# Where metadata names the licence in words, or by its family: the SPDX id of the text that the package carries.
SPDX = {"BSD-3-Clause": "BSD-3-Clause", "BSD": "BSD-3-Clause", "MIT License": "MIT", "MIT": "MIT"}
PRODUCT = "battery-agent"


def main() -> int:
    """0, or 2 with a sentence."""
    parser = argparse.ArgumentParser(prog="scripts/sbom.py", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE")
    args = parser.parse_args()
    bom = bill(LOCK.read_text("utf-8"), commit_time())
    unknown = [part["name"] for part in bom["components"] if "licenses" not in part]
    if unknown:
        print(
            f"sbom: the licence of {', '.join(unknown)} is not known here: not installed in the version of "
            f"{LOCK.relative_to(ROOT)}; `make sbom` uses the environment that has them",
            file=sys.stderr,
        )
        return 2
    version = bom["metadata"]["component"]["version"]
    path = args.output or ROOT / "dist" / f"batteryd_{version}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bom, indent=1) + "\n", "utf-8")
    print(path)
    return 0


def commit_time() -> int:
    """Of the commit, in seconds. SOURCE_DATE_EPOCH goes before."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        return int(given)
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def bill(lock: str, epoch: int) -> dict[str, Any]:
    """The bill of that lock, stamped with that time."""
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", lock) if not entry.startswith("#")]
    parts = [component(entry) for entry in entries]
    refs = {part["name"]: part["bom-ref"] for part in parts}
    product = the_product()
    wanted: dict[str, list[str]] = {product["bom-ref"]: []} | {ref: [] for ref in refs.values()}
    for entry in entries:
        name = entry.partition("==")[0]
        for by in brought_by(entry):
            wanted[product["bom-ref"] if by in (PRODUCT, "-r") else refs[by]].append(refs[name])
    content: dict[str, Any] = {
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": product,
        },
        "components": parts,
        "dependencies": [{"ref": ref, "dependsOn": sorted(names)} for ref, names in wanted.items()],
    }
    # A UUID of the content, in the form of version 4: no machine's dice.
    x = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{x[:8]}-{x[8:12]}-4{x[13:16]}-a{x[17:20]}-{x[20:32]}",
        "version": 1,
        **content,
    }


def the_product() -> dict[str, Any]:
    """This product."""
    found = re.search(r'^VERSION = "(.+)"$', (ROOT / "agent" / "version.py").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return {
        "type": "application",
        "bom-ref": f"{PRODUCT}@{found[1]}",
        "name": PRODUCT,
        "version": found[1],
        "licenses": [{"expression": "Apache-2.0"}],
    }


def component(entry: str) -> dict[str, Any]:
    """A package of the lock. Its hashes are those of all files that an installer may take, one for each platform."""
    name, version = re.match(r"([a-z0-9.-]+)==([^\s;]+)", entry).groups()  # type: ignore[union-attr]  # split so above
    purl = f"pkg:pypi/{name}@{version}"
    hashes = [{"alg": "SHA-256", "content": content} for content in re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)]
    part: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": "excluded" if name in BUILD_ONLY else "required",
        "purl": purl,
        "externalReferences": [
            {"type": "distribution", "url": purl, "comment": "one of these files", "hashes": hashes}
        ],
    }
    told = licence(name, version)
    return part if told is None else part | {"licenses": [{"expression": told}]}


def licence(name: str, version: str) -> str | None:
    """An SPDX expression, from the metadata of that package in that version; None = it is not installed here."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if told["Version"] != version and name not in BUILD_ONLY:
        return None
    if told["License-Expression"]:
        return str(told["License-Expression"])
    words = [told["License"], *(line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or ())]
    return next((SPDX[word] for word in words if word in SPDX), None)


def brought_by(entry: str) -> list[str]:
    """Who asks for this package, as the lock's comments say it."""
    said = re.findall(r"^    #(?: via)? +(\S+)", entry, re.MULTILINE)
    return [word for word in said if word != "via"]


if __name__ == "__main__":
    sys.exit(main())
