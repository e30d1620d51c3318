"""What answer does this text give, and is it the same value?  Text is parsed, never evaluated.

An answer is a finished value: ``12/4`` is one, ``3 + 4`` is not (the question itself would score),
and in ``x = 12/4 = 3`` each equals sign must hold.  Values are exact: 2.5 is 5/2, but the rounded
0.333 is not 1/3.  Units are read over: ``5 cm``, ``$5`` and ``5%`` are 5; a single letter is a
variable, never a unit.  ``2 1/3`` is the mixed number 7/3; ``2 4/3`` is refused.  ``1,000`` is one
thousand, but ``(1,234)`` is a pair.  ``5, -2`` is a set of roots, ``(5, -2)`` an ordered pair.
"No real solution" is "no solution", and "all numbers" is "infinitely many solutions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice

from distillkit.problems.algebra import MAX_CHARS, ParseError, parse_number, plain

TAIL = 20_000  # characters at the end of a text that `extract` looks at
TRIES = 100  # readings that `extract` tries before it falls back on the last number

_SIGNS = str.maketrans("，、；＝：（）。€£¥`&", ",,;=:().     ")
_COMMANDS = {"pm": "±", "in": "∈", "emptyset": "∅", "varnothing": "∅", "lor": " or ",
             "land": " and ", "quad": " ", "qquad": " ", "mathbb{R}": "ℝ"}  # fmt: skip
_COMMAND = re.compile(rf"\\({'|'.join(map(re.escape, _COMMANDS))})(?![A-Za-z])")
_FRAC = re.compile(r"\\[dt]?frac\s*\{\s*([-−+]?[0-9.]+)\s*\}\s*\{\s*([-−+]?[0-9.]+)\s*\}")
_WRAPPER = re.compile(r"(?s)\\(?:boxed|fbox|(?:text|math)[a-z]{0,2})\s*\{((?:[^{}\\]|\\.)*)\}")
_BOLD = re.compile(r"(?<![\w)*])(\*{1,2}|__)([^*_]+)\1(?![\w(*])")  # not the powers in 2**3**2
_NONE = r"no (?:real )?(?:solutions?|roots?)(?: exists?)?|无解"
_ALL = (
    r"(?:infinitely many|infinite) (?:real )?solutions|无穷多解|无数解"
    r"|(?:[a-z] ?(?:=|∈|is|can be) ?)?(?:all numbers|(?:all|any|every) real numbers?|ℝ)"
)
_NAME = r"[A-Za-z](?:_\{?[0-9]\}?|[₀-₉])?"  # x_1 and x_2 are two roots of one x
_SEPARATOR = re.compile(r"(?i)\s*(?:[,;]\s*(?:and|or)\b|[,;\n]|\band\b|\bor\b|或|和)\s*")
_THOUSANDS = re.compile(r"(?<![0-9,.])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?!,?[0-9])")
# Words that change the value, or that begin a remark, are no units.
_WORD = (
    r"(?!(?i:(?:(?:hundred|thousand|ten|four|fif|six|eigh)(?:th)?|million|billion|dozen|pair|third"
    r"|hal(?:f|ve)|quarter)s?|squared|cubed|plus|minus|times|over|divided|root|factorial"
    r"|more|less|than|not|because|since|which|that|when|but|for)\b)"
    r"(?:[A-Za-z]{3,}|[ckm]m|[km]g|m[lL]|ft|in|lb|oz|hr|mi)(?:\^?[23](?!\d)|[²³])?"
)
_UNIT = re.compile(rf"(?<=[0-9)])\s*(?:%|°[CF]?|{_WORD}(?:[ /]{_WORD}|/[hs]){{0,3}})$")
_LEAD = r"(?i)\A\s*(?:(?:[-*•>]|[0-9]{1,2}[.)])\s+)?(?:(?:and|so|thus|hence|therefore)\b,?\s*)?"
_PHRASE = re.compile(
    r"(?i)(?:\banswer[*_]*:|\b(?:answer|solutions?)(?: set)?(?: (?:to|of|for) the \w+)? "
    r"(?:is|are)\b|#{2,4} ?(?:final )?answer|####|答案[是为:：])[*_:]*"
)
# "y =" that begins a value: not the end of 2y =, 2 y =, x + y = or f(y) =.
_NAMED = re.compile(rf"(?<![-+*/^=0-9A-Za-z_)}}])(?<![-+*/^=0-9)}}] ){_NAME}\s{{0,3}}[=∈]")
_CUT = re.compile(r"\s(?![\s=+*/^×·÷−–-])|[,;.:](?=\s)|[。，；≈]")  # not before an operator
_LAST_NUMBER = re.compile(
    r"(?<![0-9A-Za-z/^])[-−]?(?:\\[dt]?frac\{-?[0-9]+\}\{[0-9]+\}"
    r"|(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)(?: [0-9]+/[0-9]+|/[0-9]+)?)(?![eE]?[0-9]|\^)"
)


@dataclass(frozen=True)
class Answer:
    """A parsed answer of the `kind` "number" (one name or none), "roots" (increasing, one name or
    none), "system" (a name for each value, sorted), "pair" (no names), "none" or "all"."""

    kind: str
    values: tuple[Fraction, ...] = ()
    names: tuple[str, ...] = ()


def parse_answer(text: str) -> Answer:
    """Parse an answer such as ``-7/3``, ``x = 5 or x = -2`` or ``(2, -1)``; raises ParseError."""
    if len(text) > MAX_CHARS:
        raise ParseError(f"longer than {MAX_CHARS} characters")
    text = _clean(text)
    words = re.sub(r"(?i)^(?:th(?:e|is) (?:equation|system) has|there (?:is|are)) ", "", text)
    for kind, pattern in (("none", _NONE + r"|∅|\{\s*\}"), ("all", _ALL + "|infinitely many")):
        if re.fullmatch(pattern, words, re.IGNORECASE):
            return Answer(kind)
    pair = re.fullmatch(r"(?:\(([A-Za-z, ]+)\)\s*[=∈]\s*)?\{?\(([^()]*,[^()]*)\)\}?", text)
    group = pair or re.fullmatch(r"(?:([A-Za-z])\s*[=∈]\s*)?\{([^{}]*)\}", text)
    inner = group[2] if group else text
    if not group or ", " in inner:
        inner = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), inner)
    if re.search(r",0[0-9]", inner):
        raise ParseError("digits in groups that are neither thousands nor a list")
    pieces = [_piece(part) for part in _SEPARATOR.split(inner.strip())]
    values = [value for _, some in pieces for value in some]
    before = re.findall("[A-Za-z]+", group[1] or "") if group else []
    names = before + [name for name, _ in pieces if name or not (pair and before)]
    if pair or len(set(names) - {""}) > 1:
        if re.search(r"(?i)\bor\b|或|±", inner):
            raise ParseError("a choice between values for several variables")
        return _system(names, values) if any(names) else Answer("pair", tuple(values))
    if any(names) and not names[0]:
        raise ParseError("a value without a name before one with a name")
    values = sorted(set(values))
    return Answer("number" if len(values) == 1 else "roots", tuple(values), tuple(names[0]))


def same_value(a: str | Answer | None, b: str | Answer | None) -> bool:
    """Tell whether two answers are exactly equal; False if one does not parse, never an error.

    A number or a set of roots without a name equals the same with any name; a pair equals the
    system whose names, in alphabetical order, have these values.
    """
    a, b = (_parsed(side) if isinstance(side, str) else side for side in (a, b))
    if not isinstance(a, Answer) or not isinstance(b, Answer):
        return False
    if {a.kind, b.kind} == {"pair", "system"}:
        return a.values == b.values
    bare = a.kind in ("number", "roots") and not (a.names and b.names)
    return (a.kind, a.values) == (b.kind, b.values) and (a.names == b.names or bare)


def extract(text: str) -> str | None:
    """Return the part of a free text that gives its answer, in a form that parses, or None.

    The last <answer> comes first, then the last \\boxed{}, a phrase such as "the answer is", a line
    with ``variable = number`` (or a system, or "no solution"), a number.  For lenient scoring only.
    """
    # Without what the cut leaves of a number or a word.
    tail = text if len(text) <= TAIL else re.sub(r"\A[0-9A-Za-z.,/]+", "", text[-TAIL:])
    numbers = [n for found in _LAST_NUMBER.findall(tail)[-5:] for n in (found.split()[-1], found)]
    readings = chain(islice(_readings(tail), TRIES), reversed(numbers))
    return next((reading.strip().rstrip(".") for reading in readings if _parsed(reading)), None)


def _clean(text: str) -> str:
    text = "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())
    text = re.sub(r"(?<=[0-9])(?:\\,|\{,\}|,\\!)(?=[0-9]{3})", ",", text.translate(_SIGNS))
    text = re.sub(r"(\\[dt]?frac)\s*([0-9])\s*([0-9])", r"\1{\2}{\3}", text)
    text = _FRAC.sub(r" \1/\2 ", text)  # before the wrappers, so that 2\frac{1}{3} is "2 1/3"
    text = _COMMAND.sub(lambda found: _COMMANDS[found[1]], text)
    for _ in range(4):  # \boxed{\text{...}}, at most four deep
        text = _WRAPPER.sub(r"\1", text)
    text = re.sub(r"\\(?:begin|end)\{[a-z]+\*?\}", " ", text).replace("\\\\", "\n")
    text = re.sub(r"\\[()]|\\?\$", " ", plain(text))
    return _BOLD.sub(r"\2", re.sub(r"\\([{}%])", r"\1", text)).strip().rstrip(". \n")


def _piece(text: str) -> tuple[str, list[Fraction]]:
    """Read ``x = 5``, ``5 = x``, ``x = 10/2 = 5``, ``x = ±5`` or ``5`` into a name and values."""
    sides = [side.strip() for side in re.sub(r"^(\s*[A-Za-z]\s*):", r"\1=", text).split("=")]
    if len(sides) == 2 and re.fullmatch(_NAME, sides[1]):
        sides.reverse()
    name = sides.pop(0)[0] if len(sides) > 1 and re.fullmatch(_NAME, sides[0]) else ""
    *steps, last = sides
    value = _number(last.removeprefix("±"))
    if steps and (not name or any(parse_number(step) != value for step in steps)):
        raise ParseError("an equals sign that does not hold, or that names no variable")
    return name, [value, -value] if last.startswith("±") else [value]


def _number(text: str) -> Fraction:
    text = _UNIT.sub("", text.strip().rstrip("."))
    if found := re.fullmatch(r"([-+]?)\s*([0-9]+)\s+([0-9]+\s*/\s*[0-9]+)", text):
        if (part := parse_number(found[3])) >= 1:
            raise ParseError("a mixed number whose fraction is not below one")
        return parse_number(found[1] + "1") * (parse_number(found[2]) + part)
    if not re.fullmatch(r"[-+(\s]*[0-9.]+[)\s]*(?:/[-+(\s]*[0-9.]+[)\s]*)?", text):
        raise ParseError(f"not a finished number: {text[:20]!r}")
    return parse_number(text)


def _system(names: list[str], values: list[Fraction]) -> Answer:
    if len(names) != len(values) or sorted(names) != sorted(set("".join(names))):
        raise ParseError("each variable needs one letter and one value")
    letters, numbers = zip(*sorted(zip(names, values)))
    return Answer("system", numbers, letters)


def _parsed(text: str) -> Answer | None:
    try:
        return parse_answer(text)
    except ParseError:
        return None


def _readings(tail: str) -> Iterator[str]:
    """Yield what may be the answer, the most explicit first."""
    spans = [re.split("(?i)</answer>", rest)[0] for rest in re.split("(?i)<answer>", tail)[1:][-1:]]
    depth, (_, box, inside) = 1, tail.rpartition("\\boxed{")
    for found in re.finditer(r"\\.|[{}]", inside if box else ""):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            spans.append(inside[: found.start()])
            break
    for span in spans:
        yield from (span, *_beginnings(span), *islice(_statements(span[:1000]), TRIES // 4))
    yield from _statements(re.sub("(?i)</?answer>", "\n", tail))


def _beginnings(text: str) -> list[str]:
    """Return the first line and ever shorter beginnings of it."""
    line = text.strip().split("\n", 1)[0]
    cuts = [found.start() for found in _CUT.finditer(line[:200])][:15]
    return [line, *(line[:cut] for cut in reversed(cuts))]


def _statements(text: str) -> Iterator[str]:
    for found in reversed([*_PHRASE.finditer(text)][-3:]):
        after = text[found.end() : found.end() + MAX_CHARS].strip()
        yield from (after.split("\n\n")[0], *_beginnings(after))
    cleaned = "\n".join(_clean(re.sub(_LEAD, "", line)) for line in text.splitlines()[-40:])
    lines = [line for line in cleaned.split("\n") if line]  # without the brackets of formulas
    parsed = [_parsed(line) if "=" in line else None for line in lines]
    for last in reversed(range(len(lines))):
        system: dict[str, str] = {}
        for line, value in zip(lines[last::-1], parsed[last::-1]):
            if not value or value.kind != "number" or not value.names or value.names[0] in system:
                break
            system[value.names[0]] = line
        yield from ([", ".join(reversed(system.values()))] if system else [])
        line = lines[last]
        starts = [found.start() for found in _NAMED.finditer(line)][-3:]
        for k, start in reversed([*enumerate(starts, 1)]):
            for short in _beginnings(line[start:]):
                yield from (line[first : start + len(short)] for first in starts[:k])
        yield from re.findall(rf"(?i)(?<![a-z])(?:{_NONE}|{_ALL})", line)
