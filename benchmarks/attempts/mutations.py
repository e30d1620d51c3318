"""Wrong attempts made from the kit's solutions: one change to the syntax tree of each."""

from __future__ import annotations

import ast
import copy
import linecache
from collections.abc import Callable, Iterator

_BINARY = {
    ast.Add: ("plus and minus", ast.Sub),
    ast.Sub: ("plus and minus", ast.Add),
    ast.Mult: ("times and divided by", ast.Div),
    ast.Div: ("times and divided by", ast.Mult),
}
_COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_NAMES = {
    "mean": ("mean and sum", "sum"),
    "sum": ("mean and sum", "mean"),
    "softmax": ("log and no log", "log_softmax"),
    "log_softmax": ("log and no log", "softmax"),
    "argmax": ("min and max", "argmin"),
    "max": ("min and max", "min"),
    "min": ("min and max", "max"),
    "any": ("any and all", "all"),
}
_WITH_AXIS = {"softmax", "log_softmax", "sum", "mean", "argmax", "cumsum", "cat", "logsumexp"}
_DROPPED = {
    "detach": "detach missing",
    "exp": "exp missing",
    "log": "log and no log",
    "strip": "strip missing",
    "float": "conversion missing",
}


def compiled(source: str, name: str, names: dict) -> Callable:
    """Return the function `name` that this source, the kit's own or made from it, defines."""
    place = f"<attempt at {name}, {hash(source)}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    space = dict(names)
    exec(compile(source, place, "exec"), space)
    return space[name]


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield (kind of the change, source with it), each source once and none as it was."""
    return changed_once(source, _changes)


def changed_once(source: str, changes: Callable) -> Iterator[tuple[str, str]]:
    """Yield (kind, source) with one of the `changes` of one node, each source once.

    `changes` yields, for a node, kinds with a function that returns what to put in its place.
    """
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    for at, node in enumerate(ast.walk(tree)):
        for kind, change in changes(node):
            copied = copy.deepcopy(tree)
            twin = next(n for i, n in enumerate(ast.walk(copied)) if i == at)
            try:
                changed = _replaced(copied, twin, change(twin))
                text = ast.unparse(ast.fix_missing_locations(changed))
                compile(text, "<mutant>", "exec")
            except SyntaxError:
                continue
            if text not in seen:
                seen.add(text)
                yield kind, text


def _replaced(tree: ast.AST, old: ast.AST, new: ast.AST | None) -> ast.AST:
    """Return the tree with `new` in the place of `old`; None drops a statement."""

    class Change(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST | None:
            return new if node is old else super().generic_visit(node)

    return Change().visit(tree)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST | None]]]:
    """Yield the kinds of change that a node allows, each with a function of its twin."""
    if isinstance(node, ast.BinOp):
        yield from _of_operator(node)
    elif isinstance(node, ast.Compare):
        if swap := _COMPARED.get(type(node.ops[0])):
            yield "comparison", lambda twin: with_fields(twin, ops=[swap()])
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "and, or, not", lambda twin: with_fields(twin, op=other())
        for at in range(len(node.values)):
            yield (
                "condition missing",
                lambda twin, at=at: _joined(
                    twin, [v for i, v in enumerate(twin.values) if i != at]
                ),
            )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "and, or, not", lambda twin: twin.operand
    elif isinstance(node, ast.IfExp):
        yield "one case missing", lambda twin: twin.body
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Slice):
        yield "slice missing", lambda twin: ast.Slice()
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield (
            "results swapped",
            lambda twin: ast.Return(ast.Tuple(twin.value.elts[::-1], ast.Load())),
        )
        yield "one result only", lambda twin: ast.Return(twin.value.elts[0])
    elif isinstance(node, ast.FunctionDef) and len(node.args.args) > 1:
        yield "arguments swapped", _first_two_swapped
    if isinstance(node, ast.Assign | ast.AugAssign | ast.If | ast.Expr):
        yield "line missing", lambda twin: None


def _of_operator(node: ast.BinOp) -> Iterator[tuple[str, Callable]]:
    if known := _BINARY.get(type(node.op)):
        kind, other = known
        yield kind, lambda twin: with_fields(twin, op=other())
    if isinstance(node.op, ast.Sub | ast.Div):
        yield "sides swapped", lambda twin: with_fields(twin, left=twin.right, right=twin.left)
    kind = {ast.Pow: "square missing", ast.Mult: "factor missing", ast.Div: "factor missing",
            ast.Add: "term missing", ast.Sub: "term missing"}.get(type(node.op))  # fmt: skip
    if kind:
        yield kind, lambda twin: twin.left
        if not isinstance(node.op, ast.Pow | ast.Div):
            yield kind, lambda twin: twin.right


def _of_constant(node: ast.Constant) -> Iterator[tuple[str, Callable]]:
    if isinstance(node.value, bool) or not isinstance(node.value, int):
        return
    if node.value < 1000:
        yield "off by one", lambda twin: ast.Constant(twin.value + 1)
        if node.value:
            yield "off by one", lambda twin: ast.Constant(twin.value - 1)
    else:
        yield "wrong constant", lambda twin: ast.Constant(twin.value // 1000)


def _of_call(node: ast.Call) -> Iterator[tuple[str, Callable]]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in _NAMES and (isinstance(node.func, ast.Attribute) or name in ("min", "max", "any")):
        kind, other = _NAMES[name]
        yield kind, lambda twin: with_fields(twin, func=_renamed(twin.func, other))
    if name in _DROPPED and isinstance(node.func, ast.Attribute):
        yield _DROPPED[name], lambda twin: twin.func.value
    if name in _WITH_AXIS and isinstance(node.func, ast.Attribute) and node.args:
        yield "wrong axis", lambda twin: with_fields(twin, args=[*twin.args[:-1], ast.Constant(0)])
    for at, word in enumerate(node.keywords):
        if word.arg == "axis":
            yield "wrong axis", lambda twin, at=at: with_keyword(twin, at, ast.Constant(0))
        elif word.arg not in ("dtype", "key"):
            yield (
                "option missing",
                lambda twin, at=at: with_fields(
                    twin, keywords=[w for i, w in enumerate(twin.keywords) if i != at]
                ),
            )
    if len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args):
        yield (
            "arguments swapped",
            lambda twin: with_fields(twin, args=[twin.args[1], twin.args[0], *twin.args[2:]]),
        )


def with_fields(node: ast.AST, **fields: object) -> ast.AST:
    """Return the node with some of its fields set anew."""
    for field, value in fields.items():
        setattr(node, field, value)
    return node


def with_keyword(call: ast.Call, at: int, value: ast.expr) -> ast.Call:
    """Return the call with another value for its keyword `at`."""
    call.keywords[at].value = value
    return call


def _joined(node: ast.BoolOp, values: list[ast.expr]) -> ast.expr:
    return values[0] if len(values) == 1 else with_fields(node, values=values)


def _renamed(name: ast.expr, other: str) -> ast.expr:
    return with_fields(name, **{"attr" if isinstance(name, ast.Attribute) else "id": other})


def _first_two_swapped(function: ast.FunctionDef) -> ast.FunctionDef:
    first, second, *rest = function.args.args
    function.args.args = [second, first, *rest]
    return function
