"""Wrong attempts for the estimate: other changes than `mutations`, and other functions to change.

The messages of the checks were mended with the attempts of `judged.corpus` in view.  These are
drawn from many, and were drawn anew after the last mend: their share of named mistakes is the
estimate for attempts that nobody has seen.  Whoever mends messages with them in view draws anew.
"""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Callable, Iterator

from benchmarks.attempts import right
from benchmarks.attempts.mutations import (
    changed_once,
    compiled,
    mutants,
    with_fields,
    with_keyword,
)

EACH = 10  # an exercise has at most so many of each sort
DRAW = 2  # the first draw was read in part, and four checks were mended with it
_TURNED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
_OTHERS = {
    "log": "log10", "cos": "sin", "floor": "ceil", "rfind": "find", "fullmatch": "match",
    "tril": "triu", "zeros": "ones", "zeros_like": "ones_like", "logsumexp": "sum",
    "logaddexp": "add", "topk": "sort", "findall": "split", "append": "extend",
    "masked_fill": "masked_fill_", "gather": "take_along_dim", "quantile": "percentile",
}  # fmt: skip
_WORDS = {"batchmean": ("mean", "sum"), "none": ("mean",), "sum": ("mean",), "mean": ("sum",)}
_REDUCED = {"sum", "mean", "abs", "lower", "split", "squeeze", "flatten", "item", "double"}


def held_out(name: str, source: str, names: dict) -> Iterator[tuple[str, str, Callable]]:
    """Yield (kind, text, function): changes of the solution, and of what others might write.

    At most EACH of both, drawn by a generator whose seed is the exercise's name and DRAW.
    """
    by = random.Random(f"{name} {DRAW}")
    own = [*changed_once(source, lambda node: _changes(node, source))]
    for kind, text in by.sample(own, min(EACH, len(own))):
        yield kind, text, compiled(text, name, names)
    others = []
    for how, function in vars(right).items():
        if how.startswith(name + "__"):
            text = inspect.getsource(function)
            both = [*mutants(text), *changed_once(text, lambda n, t=text: _changes(n, t))]
            others += [(kind, changed, how) for kind, changed in both]
    for kind, text, how in by.sample(others, min(EACH, len(others))):
        yield kind, text, compiled(text, how, vars(right))


def _changes(node: ast.AST, source: str) -> Iterator[tuple[str, Callable]]:
    """Yield the kinds of change that a node allows, each with a function of its twin."""
    if isinstance(node, ast.Compare):
        if turned := _TURNED.get(type(node.ops[0])):
            yield "comparison turned", lambda twin: with_fields(twin, ops=[turned()])
    elif isinstance(node, ast.BinOp):
        yield from _of_operator(node)
    elif isinstance(node, ast.AugAssign):
        yield "overwritten, not added", lambda twin: ast.Assign([twin.target], twin.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for other in _variables(source, node.id):
            yield "another variable", lambda twin, other=other: with_fields(twin, id=other)
    elif isinstance(node, ast.IfExp):
        yield "other case only", lambda twin: twin.orelse
    elif isinstance(node, ast.With):
        yield "no_grad missing", lambda twin: ast.If(ast.Constant(True), twin.body, [])
    elif isinstance(node, ast.Break | ast.Continue):
        yield "break missing", lambda twin: ast.Pass()
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield from _of_text(node.value)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    yield from _of_loop(node, source)


def _of_operator(node: ast.BinOp) -> Iterator[tuple[str, Callable]]:
    if isinstance(node.op, ast.Div):
        yield "whole-number division", lambda twin: with_fields(twin, op=ast.FloorDiv())
    elif isinstance(node.op, ast.FloorDiv):
        yield "whole-number division", lambda twin: with_fields(twin, op=ast.Div())
    elif isinstance(node.op, ast.Pow):
        yield "another power", lambda twin: with_fields(twin, right=ast.Constant(3))
        yield "another power", lambda twin: with_fields(twin, op=ast.Mult())
    elif isinstance(node.op, ast.Mult):
        yield "plus in place of times", lambda twin: with_fields(twin, op=ast.Add())


def _of_text(text: str) -> Iterator[tuple[str, Callable]]:
    for word in _WORDS.get(text, ()):
        yield "another option", lambda twin, word=word: ast.Constant(word)
    if "\n" in text:
        yield "line end missing", lambda twin: ast.Constant(text.replace("\n", "", 1))
        yield "space for a line end", lambda twin: ast.Constant(text.replace("\n", " "))
    elif text.strip() and text not in _WORDS:
        yield "another text", lambda twin: ast.Constant(text.swapcase())
        yield "another text", lambda twin: ast.Constant(text + " ")


def _of_call(node: ast.Call) -> Iterator[tuple[str, Callable]]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in _OTHERS and isinstance(node.func, ast.Attribute):
        yield (
            "another function",
            lambda twin: with_fields(twin, func=with_fields(twin.func, attr=_OTHERS[name])),
        )
    if name in _REDUCED and isinstance(node.func, ast.Attribute):
        yield "call missing", lambda twin: twin.func.value
    if name in ("sum", "mean", "max", "softmax", "log_softmax", "cumsum") and node.args:
        yield "reduction over all", lambda twin: with_fields(twin, args=[])
        yield "wrong axis", lambda twin: with_fields(twin, args=[ast.Constant(1)])
    if name in ("min", "max") and isinstance(node.func, ast.Name) and len(node.args) > 1:
        for at in range(len(node.args)):
            yield "limit missing", lambda twin, at=at: twin.args[at]
    if name == "range":
        yield (
            "range from 1",
            lambda twin: with_fields(twin, args=[ast.Constant(1), *twin.args[-1:]]),
        )
        yield (
            "range to the last",
            lambda twin: with_fields(
                twin,
                args=[
                    *twin.args[:-1],
                    ast.BinOp(twin.args[-1], ast.Sub(), ast.Constant(1)),
                ],
            ),
        )
    if len(node.args) > 2 and not any(isinstance(a, ast.Starred) for a in node.args):
        yield (
            "last arguments swapped",
            lambda twin: with_fields(twin, args=[*twin.args[:-2], twin.args[-1], twin.args[-2]]),
        )
    for at, word in enumerate(node.keywords):
        if isinstance(word.value, ast.Constant) and isinstance(word.value.value, bool):
            yield (
                "option turned",
                lambda twin, at=at, to=not word.value.value: with_keyword(
                    twin, at, ast.Constant(to)
                ),
            )


def _of_loop(node: ast.AST, source: str) -> Iterator[tuple[str, Callable]]:
    if isinstance(node, ast.For | ast.comprehension):
        for words, part in (
            ("first turn missing", ast.Slice(lower=ast.Constant(1))),
            ("last turn missing", ast.Slice(upper=ast.UnaryOp(ast.USub(), ast.Constant(1)))),
        ):
            yield words, lambda twin, part=part: with_fields(twin, iter=_part_of(twin.iter, part))
    if isinstance(node, ast.comprehension) and node.ifs:
        yield "condition of the list missing", lambda twin: with_fields(twin, ifs=[])
    if isinstance(node, ast.For):
        last = ast.parse(source).body[0].body[-1]
        if isinstance(last, ast.Return):
            yield "returned in the loop", lambda twin: with_fields(twin, body=[*twin.body, last])
    body = getattr(node, "body", None)
    if isinstance(node, ast.FunctionDef | ast.For) and isinstance(body, list):
        for at in range(len(body) - 1):
            if not isinstance(body[at + 1], ast.Return):
                yield (
                    "lines swapped",
                    lambda twin, at=at: with_fields(twin, body=_swapped(twin.body, at)),
                )
    if isinstance(node, ast.FunctionDef) and len(node.args.args) > 2:
        yield "last parameters swapped", _last_two_swapped


def _variables(source: str, name: str) -> list[str]:
    """Return the other names that the function binds, if this is one of them."""
    tree = ast.parse(source).body[0]
    bound = {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.ctx.__class__ is
              ast.Store}  # fmt: skip
    return sorted(bound - {name}) if name in bound else []


def _part_of(value: ast.expr, part: ast.Slice) -> ast.expr:
    whole = ast.Call(ast.Name("list", ast.Load()), [value], [])
    return ast.Subscript(whole, part, ast.Load())


def _swapped(lines: list, at: int) -> list:
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def _last_two_swapped(function: ast.FunctionDef) -> ast.FunctionDef:
    *rest, one, other = function.args.args
    function.args.args = [*rest, other, one]
    return function
