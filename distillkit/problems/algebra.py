"""Exact linear algebra on untrusted text: numbers, linear expressions, equations.

Text from a model is data, never code.  A hand-written parser with limits on length, digits and
depth turns it into `Fraction`s; everything that does not fit the small grammar is a `ParseError`.

    expression := ['+'|'-'] term (('+'|'-') term)*
    term       := factor (('*'|'/'| nothing) factor)*        (nothing: 3x, 2(x + 1))
    factor     := ('+'|'-') factor | number | letter | '(' expression ')'
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

MAX_CHARS = 400  # longer expressions are refused before any work is done
MAX_DIGITS = 40  # longer numbers too: arithmetic stays cheap whatever a model writes
MAX_DEPTH = 12

Linear = dict[str, Fraction]  # {"x": 3, "": -4} is 3x - 4; zero entries are dropped

_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?|\.[0-9]+)|([A-Za-z])|([-+*/()]))")
MINUS = "‐‑‒–—―−﹘﹣－➖˗⁃"  # a dash that a reader takes for a minus; others stay what they are
UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f"  # takes no room on the line
_BEFORE, _BEHIND = "\ue000", "\ue001"  # between a number and a fraction that is one character
_ALIKE = {"<wide>", "<narrow>", "<small>", "<font>", "<noBreak>"}  # only the look is another


class _Spelling(dict):
    """One spelling for each character, by Unicode's own table of compatibility forms; a mapping
    for `str.translate` that fills itself."""

    def __missing__(self, code: int) -> str:
        self[code] = spelling = self._of(chr(code))
        return spelling

    @staticmethod
    def _of(char: str) -> str:
        if char in MINUS or char in UNSEEN:
            return "-" if char in MINUS else ""
        if char.isspace():
            return "\n" if char in "\n\r\x85\u2028\u2029" else " "
        form, *codes = unicodedata.decomposition(char).split() or [""]
        plain_char = unicodedata.normalize("NFKC", char)
        if form == "<fraction>" and len(codes) > 2:  # 2½ is 2 1/2, never 21/2
            return _BEFORE + plain_char.replace("⁄", "/") + _BEHIND
        if form in ("<super>", "<sub>") and (plain_char.isdigit() or plain_char == "n"):
            return ("^" if form == "<super>" else "_") + plain_char
        return plain_char if form in _ALIKE and char != "ℝ" else char


_SPELLING = _Spelling()
_WRITTEN_OTHERWISE = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "⁄": "/", "∕": "/"}
)
_ARGUMENT = r"\s*(?:\{([^{}]*)\}|([0-9]))"
_FRAC = re.compile(rf"\\(?:[dtc]?frac|nicefrac|sfrac){_ARGUMENT}{_ARGUMENT}")


class ParseError(ValueError):
    """The text is not a linear expression or equation within the size limits."""


class SolutionError(ValueError):
    """The equations have no solution, or more than one."""


def one_spelling(text: str) -> str:
    """Return `text` with one character for all that look alike: dashes that are a minus, spaces,
    full-width and mathematical letters and digits; ``2½`` becomes ``2 1/2``, ``x²`` is ``x^2``."""
    if text.isascii() and "\r" not in text:
        return text
    text = text.translate(_SPELLING)
    text = re.sub(f"(?<=[0-9]){_BEFORE}|{_BEHIND}(?=[0-9])", " ", text)
    return text.replace(_BEFORE, "").replace(_BEHIND, "")


def plain(text: str) -> str:
    """Return `text` with LaTeX and typographic forms of the same signs in plain ASCII, and one
    kind of bracket."""
    return plain_signs(text).replace("[", "(").replace("]", ")")


def plain_signs(text: str) -> str:
    """The same with square brackets left as they are: they tell a closed interval."""
    text = one_spelling(text).translate(_WRITTEN_OTHERWISE)
    if "\\" in text:
        for _ in range(3):  # fractions inside fractions, at most three deep
            text = _FRAC.sub(_quotient, text)
        # Not \b after the name: in \cdot2 there is no word boundary.
        text = re.sub(r"\\(?:cdot|times)(?![A-Za-z]) ?", "*", text)
        text = re.sub(r"\\div(?![A-Za-z]) ?", "/", text)
        text = re.sub(r"\\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![A-Za-z])|\\!", "", text)
        text = re.sub(r"\\[,;: ]", " ", text)  # a space, or 2\;1/3 would read as 21/3
    return text


def _quotient(found: re.Match) -> str:
    top, bottom = (found[1] or found[2] or "").strip(), (found[3] or found[4] or "").strip()
    if top.isdecimal() and found.string[: found.start()].rstrip()[-1:].isdecimal():
        after = found.string[found.end() : found.end() + 1]
        return f" {top}/{bottom}" + " " * after.isalnum()  # a mixed number, never a product
    return f"({top}/{bottom})" if (top + bottom).isdecimal() else f"(({top})/({bottom}))"


def parse_linear(text: str) -> Linear:
    """Parse a linear expression such as ``2(x - 3)/5 + 1``.

    Raises ParseError for anything else: words, powers, products of variables, division by zero.
    """
    if len(text) > MAX_CHARS:
        raise ParseError(f"longer than {MAX_CHARS} characters")
    text = plain(text)
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise ParseError(f"cannot read {text[at : at + 12]!r}")
        if found[1] and len(found[1]) > MAX_DIGITS:
            raise ParseError(f"a number longer than {MAX_DIGITS} digits")
        tokens.append(found[1] or found[2] or found[3])
        at = found.end()
    value, rest = _sum(tokens, 0, 0)
    if rest != len(tokens):
        raise ParseError(f"unexpected {tokens[rest]!r}")
    return value


def _sum(tokens: list[str], at: int, depth: int) -> tuple[Linear, int]:
    if depth > MAX_DEPTH:
        raise ParseError("brackets nested too deeply")
    total, at = _product(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "+-":
        term, after = _product(tokens, at + 1, depth)
        total, at = add(total, term, 1 if tokens[at] == "+" else -1), after
    return total, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[Linear, int]:
    value, at = _factor(tokens, at, depth)
    while at < len(tokens) and tokens[at] not in "+-)":
        sign = tokens[at] if tokens[at] in "*/" else ""
        if not sign and tokens[at][0] in "0123456789.":
            raise ParseError("two numbers side by side")
        other, at = _factor(tokens, at + len(sign), depth)
        if sign == "/":
            if other.keys() - {""} or not other:
                raise ParseError("division by zero or by a variable")
            value = scale(value, 1 / other[""])
        elif not value.keys() - {""}:
            value = scale(other, value.get("", Fraction(0)))
        elif not other.keys() - {""}:
            value = scale(value, other.get("", Fraction(0)))
        else:
            raise ParseError("a product of variables is not linear")
    return value, at


def _factor(tokens: list[str], at: int, depth: int) -> tuple[Linear, int]:
    sign = 1
    while at < len(tokens) and tokens[at] in "+-":
        sign, at = (-sign if tokens[at] == "-" else sign), at + 1
    if at == len(tokens):
        raise ParseError("the expression ends too early")
    token = tokens[at]
    if token == "(":
        value, at = _sum(tokens, at + 1, depth + 1)
        if at == len(tokens) or tokens[at] != ")":
            raise ParseError("a bracket is not closed")
        return (scale(value, Fraction(-1)) if sign < 0 else value), at + 1
    if token in ")*/":
        raise ParseError(f"unexpected {token!r}")
    if token.isalpha():
        return {token: Fraction(sign)}, at + 1
    number = sign * Fraction(token)
    return ({"": number} if number else {}), at + 1


def add(a: Linear, b: Linear, factor: int | Fraction = 1) -> Linear:
    """Return ``a + factor * b``."""
    total = dict(a)
    for name, value in b.items():
        total[name] = total.get(name, Fraction(0)) + factor * value
    return {name: value for name, value in total.items() if value}


def scale(a: Linear, factor: Fraction) -> Linear:
    """Return ``factor * a``."""
    return {name: value * factor for name, value in a.items() if value and factor}


def value_at(a: Linear, x: Fraction | int) -> Fraction:
    """Return the value of an expression with one unknown when that is x."""
    return sum((value * (x if name else 1) for name, value in a.items()), Fraction(0))


def parse_number(text: str) -> Fraction:
    """Parse an expression without variables, such as ``-7/3`` or ``2.5``, exactly."""
    value = parse_linear(text)
    if value.keys() - {""}:
        raise ParseError("a number was expected, not a variable")
    return value.get("", Fraction(0))


def parse_equation(text: str) -> tuple[Linear, Linear]:
    """Parse ``left = right`` into its two sides; raises ParseError."""
    if len(text) > 2 * MAX_CHARS + 1:
        raise ParseError(f"longer than {2 * MAX_CHARS + 1} characters")
    sides = text.split("=")
    if len(sides) == 1:
        words = text.strip()
        words = words if len(words) <= 30 else words[:29] + "…"
        raise ParseError(f"no equals sign in {words!r}")
    if len(sides) > 2:
        raise ParseError(f"{len(sides) - 1} equals signs instead of one")
    return parse_linear(sides[0]), parse_linear(sides[1])


def parse_system(text: str) -> list[tuple[Linear, Linear]]:
    """Parse one equation, or several separated by commas, semicolons, 'and' or newlines.

    Raises ParseError, also for more than four equations and for what is no text.
    """
    if not isinstance(text, str):
        raise ParseError(f"{text!r:.30} is no text: write it between quotation marks")
    if len(text) > 4 * MAX_CHARS:  # refused, not cut: the cut could change the last equation
        raise ParseError(f"longer than {4 * MAX_CHARS} characters")
    parts = re.split(r",|;|\n|\band\b", text)
    parts = [part for part in parts if part.strip()]
    if not 1 <= len(parts) <= 4:
        raise ParseError("between one and four equations were expected")
    if re.search(r"\d,\d", text) and not all("=" in part for part in parts):
        raise ParseError("a comma stands between two equations: write 1.5 with a point, not 1,5")
    return [parse_equation(part) for part in parts]


def reduced(system: list[tuple[Linear, Linear]]) -> tuple[tuple[tuple[str, Fraction], ...], ...]:
    """Return the reduced row echelon form: equal for two systems if and only if they have the
    same solutions (all contradictions are one form)."""
    rows = [add(left, right, -1) for left, right in system]
    done: list[Linear] = []
    for name in sorted({name for row in rows for name in row} - {""}):
        pivot = next((row for row in rows if name in row), None)
        if pivot is None:
            continue
        rows.remove(pivot)
        pivot = scale(pivot, 1 / pivot[name])
        rows = [add(row, pivot, -row.get(name, Fraction(0))) for row in rows]
        done = [add(row, pivot, -row.get(name, Fraction(0))) for row in done] + [pivot]
    if any(rows):
        return ((("", Fraction(1)),),)  # 0 = 1
    return tuple(tuple(sorted(row.items())) for row in done)


def solve(system: list[tuple[Linear, Linear]]) -> dict[str, Fraction]:
    """Return the one solution, variable by variable; raises SolutionError if none or many."""
    rows = [dict(row) for row in reduced(system)]
    names = {name for left, right in system for name in (*left, *right)} - {""}
    solution = {}
    for row in rows:
        variables = row.keys() - {""}
        if len(variables) != 1:
            raise SolutionError("no single solution")
        solution[variables.pop()] = -row.get("", Fraction(0))
    if set(solution) != names or not names:
        raise SolutionError("no single solution")
    return solution


def show_number(value: Fraction | int) -> str:
    """Write an exact number: ``-3`` or ``7/2``."""
    return str(Fraction(value))


def show_linear(value: Linear) -> str:
    """Write a linear expression in reading order: ``3x - 4``."""
    text = ""
    for name in [*sorted(value.keys() - {""}), *([""] if "" in value else [])]:
        coefficient = value[name]
        size = abs(coefficient)
        shown = show_number(size) if not name or size.denominator == 1 else f"({size})"
        term = name if name and size == 1 else shown + name
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} {term}" if text else ("-" if coefficient < 0 else "") + term
    return text or "0"
