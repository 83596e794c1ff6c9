"""`make proof`: each theorem in words, its inputs, how long it took, and whether its planted defect is found."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence

from hil.figures import Figure, Report
from tests.proof.every import theorems
from tests.proof.sources import Modules
from tests.proof.theorem import Proof, Theorem, planted, prove

WITHIN_S = 60


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="ID", help="theorems to prove, all without: I3 M Q1")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    args = parser.parse_args(argv)
    chosen = [one for one in theorems() if not args.only or {one.id, one.id.split()[0]} & set(args.only)]
    if not chosen:
        parser.error(f"no such theorem; there are {', '.join(one.id for one in theorems())}")
    m = Modules()
    proofs = [_show(f"{n}/{len(chosen)}", one, prove(one, m), planted(one)) for n, one in enumerate(chosen, 1)]
    proving = sum(proof.seconds for proof, _ in proofs)
    report = Report(
        "theorems over the shipped source of agent.core and agent.gate",
        (
            Figure("proved", sum(proof.against is None for proof, _ in proofs), reach=f"== {len(chosen)}"),
            Figure("planted_defects_found", sum(found for _, found in proofs), reach=f"== {len(chosen)}"),
            Figure("proving_s", round(proving, 1), "s", f"<= {WITHIN_S}", note="of the processor"),
            Figure("paths", sum(proof.paths for proof, _ in proofs)),
        ),
    )
    return report.print(as_json=args.json)


def _show(number: str, one: Theorem, proof: Proof, defect: Proof) -> tuple[Proof, bool]:
    found = defect.against is not None and defect.against.startswith("AssertionError")
    word = "proved" if proof.against is None else "BROKEN"
    lines = [f"{number:>5} {word} {proof.seconds:5.1f} s  {one.id}: {one.words}"]
    if proof.against is not None:
        lines.append(f"                 {proof.against}")
    if not found:
        lines.append(f"                 its planted defect was not found: {defect.against}")
    for inputs in textwrap.wrap(", ".join(f"{name} {span}" for name, span in proof.ranges.items()), 110):
        lines.append(f"                 {inputs}")
    sys.stderr.write("\n".join(lines) + "\n")
    return proof, found


if __name__ == "__main__":
    sys.exit(main())
