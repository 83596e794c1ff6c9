"""Mutants of a module: its source with one small mistake each, of the kinds that people make.

Left alone: words for people, annotations, decorators, imports, and what would not even import.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.proof.sources import ROOT, path_of

COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitAnd: ast.BitOr,
}
CALLS = {"min": "max", "max": "min", "least": "greatest", "greatest": "least", "any": "all", "all": "any"}
PAIRS = tuple(
    pair.split(":")
    for pair in "_lo:_hi _hi:_lo _max:_min _min:_max charge:discharge discharge:charge battery:inverter inverter:meter "
    "high:low low:high".split()
)
TABLES = ("LIMITS", "TABLE")


@dataclass(frozen=True, slots=True)
class Mutant:
    """`number`: its place among the mutants of its module."""

    module: str
    number: int
    line: int
    kind: str
    source: str

    @property
    def place(self) -> str:
        return f"{path_of(self.module).relative_to(ROOT)}:{self.line}"

    def diff(self) -> str:
        """The lines that differ, old and new."""
        old = path_of(self.module).read_text("utf-8").splitlines()
        lines = difflib.unified_diff(old, self.source.splitlines(), lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def mutants(module: str) -> list[Mutant]:
    """All of one module, each another text that compiles, in the order of the source."""
    text = path_of(module).read_text("utf-8")
    found: list[Mutant] = []
    seen = {text}
    for node, kind, new in _changes(ast.parse(text)):
        source = _spliced(text, node, new)
        if source not in seen and _compiles(source):
            seen.add(source)
            found.append(Mutant(module, len(found), node.lineno, kind, source))
    return found


def unchanged(module: str) -> Mutant:
    """No mistake at all: what every trial must let live."""
    return Mutant(module, -1, 1, "unchanged", path_of(module).read_text("utf-8"))


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _spliced(text: str, node: ast.expr | ast.stmt, new: str) -> str:
    lines = text.encode().splitlines(keepends=True)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (before + new.encode() + after).decode()


# --- where a mistake may be made --------------------------------------------------------------------------------------
Change = tuple[ast.expr | ast.stmt, str, str]


def _changes(tree: ast.Module) -> Iterator[Change]:
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield from _function(statement)
        elif isinstance(statement, ast.ClassDef):
            for inner in statement.body:
                if isinstance(inner, ast.FunctionDef):
                    yield from _function(inner)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from _expressions(statement.value)
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if isinstance(target, ast.Name) and target.id in TABLES and isinstance(statement.value, ast.Tuple):
                yield from _rows(statement.value)


def _function(function: ast.FunctionDef) -> Iterator[Change]:
    for statement in function.body:
        yield from _statement(statement)


def _statement(statement: ast.stmt) -> Iterator[Change]:
    match statement:
        case ast.Expr(ast.Constant()) | ast.FunctionDef() | ast.Pass():
            return
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign() | ast.Expr():
            yield statement, "statement removed", "pass"
        case ast.Continue():
            yield statement, "continue removed", "pass"
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            yield statement, "returns nothing", "return None"
        case ast.If() | ast.While():
            yield statement.test, "condition negated", f"not ({ast.unparse(statement.test)})"
    for field, value in ast.iter_fields(statement):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.expr):
                yield from _expressions(child)
            elif isinstance(child, ast.stmt):
                yield from _statement(child)


def _expressions(root: ast.expr) -> Iterator[Change]:
    if isinstance(root, ast.JoinedStr) or (isinstance(root, ast.Subscript) and _is_type(root)):
        return
    for kind, new in _mistakes(root):
        yield root, kind, new
    for child in ast.iter_child_nodes(root):
        if isinstance(child, ast.expr):
            yield from _expressions(child)
        elif isinstance(child, ast.keyword):
            yield from _expressions(child.value)
        elif isinstance(child, ast.comprehension):
            for part in (child.iter, *child.ifs):
                yield from _expressions(part)
            for condition in child.ifs:
                yield condition, "condition negated", f"not ({ast.unparse(condition)})"


def _is_type(node: ast.Subscript) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("Callable", "tuple", "list", "dict", "Sequence")


def _rows(table: ast.Tuple) -> Iterator[Change]:
    for row in table.elts:
        others = [ast.unparse(other) for other in table.elts if other is not row]
        yield table, f"row of line {row.lineno} removed", f"({', '.join(others)},)"
    texts = [ast.unparse(row) for row in table.elts]
    for i in range(len(texts) - 1):
        swapped = [*texts[:i], texts[i + 1], texts[i], *texts[i + 2 :]]
        yield table, f"row of line {table.elts[i].lineno} moved down", f"({', '.join(swapped)},)"


# --- the mistakes -----------------------------------------------------------------------------------------------------
def _mistakes(node: ast.expr) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and, or", f"({ast.unparse(ast.BoolOp(other, node.values))})"
            for value in node.values:
                rest = [one for one in node.values if one is not value]
                left = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield "condition dropped", f"({ast.unparse(left)})"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield "not, minus", f"({ast.unparse(operand)})"
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield "arithmetic", f"({ast.unparse(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))})"
        case ast.IfExp():
            yield "branches swapped", f"({ast.unparse(ast.IfExp(node.test, node.orelse, node.body))})"
        case ast.Constant(bool() as value):
            yield "truth", str(not value)
        case ast.Constant(int() as value):
            yield "number", str(value + 1)
        case ast.Call():
            yield from _calls(node)
        case ast.Attribute(ast.Name(owner), attr) if owner in _enums():
            members = _enums()[owner]
            if attr in members:
                yield "other member", f"{owner}.{members[(members.index(attr) + 1) % len(members)]}"
        case ast.Attribute(value, attr):
            for name in _confusable(attr):
                yield "other name", f"{ast.unparse(value)}.{name}"


def _comparisons(node: ast.Compare) -> Iterator[tuple[str, str]]:
    for i, op in enumerate(node.ops):
        for other in COMPARE[type(op)]:
            ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
            yield "comparison", f"({ast.unparse(ast.Compare(node.left, ops, node.comparators))})"


def _calls(node: ast.Call) -> Iterator[tuple[str, str]]:
    match node.func:
        case ast.Name(name) | ast.Attribute(_, name):
            pass
        case _:
            return
    if name in CALLS:
        func = ast.Name(CALLS[name])
        if isinstance(node.func, ast.Attribute):
            yield "call", ast.unparse(ast.Call(ast.Attribute(node.func.value, CALLS[name]), node.args, node.keywords))
        else:
            yield "call", ast.unparse(ast.Call(func, node.args, node.keywords))
        if name not in ("any", "all") and len(node.args) == 2:
            for kept in node.args:
                yield "argument alone", f"({ast.unparse(kept)})"
    if name == "where":
        condition, then, otherwise = node.args
        yield "branches swapped", ast.unparse(ast.Call(node.func, [condition, otherwise, then], []))


@cache
def _core() -> tuple[ast.Module, ...]:
    files: list[Path] = [*sorted((ROOT / "agent/core").glob("*.py")), ROOT / "drivers/readings.py"]
    return tuple(ast.parse(file.read_text("utf-8")) for file in files)


@cache
def _enums() -> dict[str, list[str]]:
    """Members of every enumeration of the core, by its name."""
    found: dict[str, list[str]] = {}
    for tree in _core():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                found[node.name] = [
                    part.targets[0].id
                    for part in node.body
                    if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name)
                ]
    return found


@cache
def _names() -> frozenset[str]:
    """Every attribute that the core reads."""
    return frozenset(n.attr for tree in _core() for n in ast.walk(tree) if isinstance(n, ast.Attribute))


def _confusable(attr: str) -> list[str]:
    """Names that one slip of the pen away mean something else."""
    swapped = {attr.replace(a, b) for a, b in PAIRS if a in attr}
    return sorted(name for name in swapped if name != attr and name in _names())
