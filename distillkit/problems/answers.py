r"""What answer does this text give, and is it the same value?  Text is parsed, never evaluated.

An answer is a finished value: ``12/4`` is one, ``3 + 4`` is not (the question itself would score),
and in ``x = 12/4 = 3`` each equals sign must hold.  Values are exact: 2.5 is 5/2, but the rounded
0.333 is not 1/3.  What cannot be read wholly is refused; nothing is read in part.

==============  ===================================================  ==========================
form            read                                                 refused
==============  ===================================================  ==========================
sign            ``-3``, each dash that is a minus to a reader, ``±3``  ``--3``, another dash
digits          ``5``, full width ``５``, mathematical ``𝟓``          of other scripts
groups          ``1,234.5``, ``1 234,5``, ``1.234,5``, ``1'234``     ``1,00,000``
decimals        ``2.5``, ``2,5`` (``2, 5`` and ``{2,5}``: lists)     ``2.5…``, ``1e3``
fractions       ``7/3``, ``½``, ``\frac73``, ``\dfrac{7}{3}``        ``7/3/2``, ``1/0``
mixed numbers   ``2 1/3``, ``2½``, ``2\frac13``                      ``2 4/3``, ``2 and 1/3``
names           ``x = 5``, ``5 = x``, ``x: 5``, ``x_1 = 5``          ``x ≠ 5``, ``x > 5``
units           ``5 cm``, ``$5``, ``5 %``, ``90^\circ``: read over   ``5 m`` (a variable)
words of value                                                       ``5 million``
roots (a set)   ``5, -2``, ``{5; -2}``, ``x = 5 or x = -2``          ``{2,5, 3}``
systems         ``x = 2, y = -1``, ``(x, y) = (2, -1)``              ``x = 2 or y = 3``
ordered pairs   ``(5, -2)``
intervals       ``[2, 5)``, ``]2, 5]``: the brackets count           ``(2, ∞)``, ``[5, 2]``
none, all       ``no solution``, ``∅``; ``all real numbers``, ``ℝ``
marks round it  ``**5**``, ``$5$``, ``\boxed{5}``, ``\text{5}``       ``5!``, ``√5``, ``5^2``
==============  ===================================================  ==========================

A comma between digits is read as a person would: before groups of three digits it parts thousands
(``1,234``), else it is a decimal comma (``0,5``); inside brackets it parts a list (``(1,234)``).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from distillkit.problems.algebra import (
    MAX_CHARS,
    ParseError,
    one_spelling,
    parse_number,
    plain_signs,
)

TAIL = 20_000  # characters at the end of a text that `extract` looks at
LINES = 40  # and lines of it that may state a value

# --- one spelling ---------------------------------------------------------------------------------

_SIGNS = str.maketrans("、｡。€£¥₹`&’", ",..      '") | {ord("∨"): " or ", ord("∧"): " and "}
_COMMANDS = {"pm": "±", "in": "∈", "emptyset": "∅", "varnothing": "∅", "lor": " or ",
             "land": " and ", "quad": " ", "qquad": " ", "mathbb{R}": "ℝ", "R": "ℝ", "circ": "°",
             "degree": "°", "ne": "≠", "neq": "≠", "approx": "≈", "dots": "...", "ldots": "...",
             "implies": " ⇒ ", "Rightarrow": " ⇒ ", "to": " ⇒ ", "therefore": " "}  # fmt: skip
_COMMAND = re.compile(rf"\\({'|'.join(map(re.escape, _COMMANDS))})(?![A-Za-z])")
_ARROW = re.compile(r"<?[=-]>|[⇒⇔→⟹⟶]")
_WRAPPER = re.compile(
    r"(?s)\\(?:boxed|fbox|mbox|underline|(?:text|math)[a-z]{0,2})\s*\{((?:[^{}\\]|\\.)*)\}"
)
# Not the powers in 2**3**2, not the products in 2 * 3 * 4.
_BOLD = re.compile(
    r"(?<![\w)*])(?:\*{2,3}(?=[^\s*])([^*]*[^\s*])\*{2,3}|\*(?=[^\s*])([^*]*[^\s*])\*"
    r"|__(?=[^\s_])((?:[^_]|_(?!_))*[^\s_])__)(?![\w(*])"
)


def one_line(text: str) -> str:
    """Write a text in one spelling, without Markdown, LaTeX's wrappers and white space round it.

    Line breaks stay.
    """
    text = one_spelling(text)
    text = "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())
    text = _BOLD.sub(lambda found: found[1] or found[2] or found[3], text).translate(_SIGNS)
    text = re.sub(r"(?<=[0-9])(?:\\,|\{,\}|,\\!)(?=[0-9])", _latex_comma, text)
    text = _COMMAND.sub(lambda found: _COMMANDS[found[1]], text)
    text = re.sub(r"\^\s*(?:°|\{\s*°\s*\})", "°", text.replace("℃", "°C").replace("℉", "°F"))
    text = re.sub(r"\\(?:begin|end)\{[a-z]+\*?\}", " ", text).replace("\\\\", "\n")
    text = plain_signs(text)
    for _ in range(4):  # \boxed{\text{...}}, at most four deep
        text = _WRAPPER.sub(r"\1", text)
    text = re.sub(r"\\[][()]|\\?\$", " ", text)
    if not text.isascii():  # ticks, emoji; but not a cross, which denies what it stands beside
        text = "".join(c for c in text if c in "°✗✘❌❎✖" or unicodedata.category(c) != "So")
    text = re.sub(r"\\([{}%])", r"\1", text).replace("…", "...")
    text = _BOLD.sub(lambda found: found[1] or found[2] or found[3], text)
    return re.sub(r"(?<!\.)\.\Z", "", text.strip()).strip()


def _latex_comma(found: re.Match) -> str:
    return " " if found[0] == "\\," else ","


# --- a whole answer -------------------------------------------------------------------------------

_NONE = r"no (?:real )?(?:solutions?|roots?)(?: exists?)?|无解"
_ALL = (
    r"(?:infinitely many|infinite) (?:real )?solutions|无穷多解|无数解"
    r"|(?:[a-z] ?(?:=|∈|is|can be) ?)?(?:all numbers|(?:all|any|every) real numbers?|ℝ)"
)
_NAME = r"[A-Za-z](?:_\{?[0-9]\}?)?"  # x_1 and x_2 are two roots of one x
_SEPARATOR = re.compile(r"(?i)\s*(?:[,;]\s*(?:and|or)\b|[,;\n]|\band\b|\bor\b|或|和)\s*")
_INSIDE = r"(?:[^][()]|\((?:[^][()]|\([^][()]*\))*\))*"  # brackets in it come in pairs
_PAIR = re.compile(rf"(?:\(([A-Za-z, ]+)\)\s*[=∈]\s*)?\{{?\(({_INSIDE})\)\}}?")
_AND_PART = re.compile(r"(?<![0-9/.])(?<![0-9/.] )[1-9][0-9]* and ([0-9]+/[1-9][0-9]*)")
_SET = re.compile(r"(?:([A-Za-z])\s*[=∈]\s*)?\{([^{}]*)\}")
_INTERVAL = re.compile(rf"(?:([A-Za-z])\s*[=∈]\s*)?([\[(\]])({_INSIDE})([\])\[])")
_GROUPED = re.compile(  # digits in groups, or with a decimal comma
    r"(?<![0-9.,'])(?:"
    r"(?P<english>[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?)"
    r"|(?P<spaced>(?<!/)(?<!/ )[1-9][0-9]{0,2}(?:(?: [0-9]{3})+|(?:'[0-9]{3})+)(?:[.,][0-9]+)?"
    r"(?!\s*/))"
    r"|(?P<german>[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,}))"
    r"|(?P<comma>[0-9]+,[0-9]+)"
    r")(?![.,']?[0-9]| [0-9]{3}(?![0-9]))"
)
# Words that change the value of the number before them.
_CHANGED = (
    r"(?:(?:hundred|thousand|ten|four|fif|six|seven|eigh|nin|eleven|twelf|twentie)(?:th)?s?"
    r"|[a-z]+illi(?:on|ard)s?|myriads?|googol[a-z]*|lakhs?|crores?|dozens?|scores?|pairs?|gross"
    r"|thirds?|hal(?:f|ves)|quarters?"
    r"|squared|cubed|plus|minus|negative|times|over|divided|roots?|powers?|factorial|point|mod"
    r"|percent of|more|less|fewer|greater|larger|smaller|higher|lower|than|least|most|up|to|or|if"
    r"|unless|without|below|under|above|halved|doubled|tripled|twice|repeating|recurring|too|maybe"
    r"|perhaps|possibly|unlikely|missing"
    r"|one|two|three|five|eight|nine|to the)"
)
_DENIED = (
    r"(?:not|no|never|cannot|neither|nor|except|wrong|incorrect|false|fails?|impossible|invalid"
    r"|extraneous|rejected|excluded|too (?:big|high|large|low|small)|[a-z]+n't)"
)
_REMARK_WORD = (
    r"(?:because|since|as|so|which|that|when|but|for|after|from|here|by|where|with|in|into|this|these"
    r"|gives?|we|you|it|is|are|was|works|holds|fits|satisfies|makes|yields|then|thus|hence|therefore"
    r"|using|on|back|remain|there|or (?:about|approximately|roughly|equivalently|in))"
)
_WORD = (
    rf"(?:in\b|(?!(?i:{_CHANGED}|{_REMARK_WORD}|{_DENIED}|and)\b)"
    r"(?:[A-Za-z]{3,}|[ckm]m|[km]g|m[lL]|ft|lb|oz|hr|mi|[km]?m/s)(?:\^?[23](?![0-9]))?)"
)
_UNIT = re.compile(rf"(?<=[0-9)])\s*(?:%|°\s?[CF]?|{_WORD}(?:[ /]{_WORD}|/[hs]){{0,3}})$")
_DIGITS = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_PLAIN_NUMBER = re.compile(rf"[-+(\s]*{_DIGITS}[)\s]*(?:/[-+(\s]*{_DIGITS}[)\s]*)?")
_MIXED = re.compile(r"([-+]?)\s*([0-9]+)\s+([0-9]+\s*/\s*[0-9]+)")


@dataclass(frozen=True)
class Answer:
    """A parsed answer of the `kind` "number" (one name or none), "roots" (increasing, one name or
    none), "system" (a name for each value, sorted), "pair" (no names), "interval" (its `brackets`,
    "[" or "]" where the end belongs to it), "none" or "all"."""

    kind: str
    values: tuple[Fraction, ...] = ()
    names: tuple[str, ...] = ()
    brackets: str = ""


def parse_answer(text: str) -> Answer:
    """Parse an answer in one of the forms of the table above; raises ParseError."""
    if len(text) > MAX_CHARS:
        raise ParseError(f"longer than {MAX_CHARS} characters")
    text = one_line(text)
    words = re.sub(r"(?i)^(?:th(?:e|is) (?:equation|system) has|there (?:is|are)) ", "", text)
    for kind, pattern in (("none", _NONE + r"|∅|\{\s*\}"), ("all", _ALL + "|infinitely many")):
        if re.fullmatch(pattern, words, re.IGNORECASE):
            return Answer(kind)
    if re.search(r"(?m)^- \d", text) and "\n" in text:
        raise ParseError("a dash that may be a minus or the mark of a list")
    pair = _PAIR.fullmatch(text) if re.search("[,;]", text) else None
    if (found := _INTERVAL.fullmatch(text)) and not pair and re.search("[,;]", text):
        return _interval(*found.groups())
    group = pair or _SET.fullmatch(text) or re.fullmatch(r"()\[([^][,;]*)\]", text)
    inner = numerals(group[2] if group else text, in_brackets=bool(group))
    if re.search(r",0[0-9]", inner):
        raise ParseError("digits in groups that are neither thousands nor a list")
    for found in _AND_PART.finditer(inner):
        if parse_number(found[1]) < 1:
            raise ParseError("a mixed number, or two numbers")
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
    nameable = a.kind in ("number", "roots", "interval")
    bare = nameable and not (a.names and b.names)
    same = (a.kind, a.values, a.brackets) == (b.kind, b.values, b.brackets)
    return same and (a.names == b.names or bare)


def numerals(text: str, in_brackets: bool = False) -> str:
    """Write groups of digits and decimal commas as Python does: ``1.234,5`` becomes ``1234.5``.

    In brackets a comma without a space is one of a list, unless there are others.  Raises
    ParseError where a comma may be either.
    """
    apart = re.search(r",\s", text)
    of_a_list = in_brackets and not apart and ";" not in text

    def plain_digits(found: re.Match) -> str:
        digits = found[0]
        if "," in digits and of_a_list:
            return digits
        if found["comma"] and apart:
            raise ParseError("a comma that may be a decimal one or one of a list")
        if found["english"]:
            return digits.replace(",", "")
        if found["german"]:
            digits = digits.replace(".", "")
        return re.sub(r"[ ']", "", digits).replace(",", ".")

    return _GROUPED.sub(plain_digits, text)


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
    text = _UNIT.sub("", re.sub(r"(?<!\.)\.$", "", text.strip()))
    if found := _MIXED.fullmatch(text):
        if (part := parse_number(found[3])) >= 1:
            raise ParseError("a mixed number whose fraction is not below one")
        return parse_number(found[1] + "1") * (parse_number(found[2]) + part)
    if not _PLAIN_NUMBER.fullmatch(text) or re.search(r"[-+]\s*[-+]", text):
        raise ParseError(f"not a finished number: {text[:20]!r}")
    return parse_number(text)


def _interval(name: str | None, left: str, inside: str, right: str) -> Answer:
    if left + right in ("([", "])"):
        raise ParseError("brackets of two ways to write an interval")
    ends = numerals(inside, in_brackets=True)
    ends = [_number(end) for end in ends.split(";" if ";" in ends else ",")]
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise ParseError("an interval has two ends in order")
    brackets = ("[" if left == "[" else "(") + ("]" if right == "]" else ")")
    return Answer("interval", tuple(ends), tuple(name or ""), brackets)


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


# --- an answer inside a text ----------------------------------------------------------------------

_THOUGHT = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|seed:think)"
_THINKING = re.compile(rf"(?i)[<\[◁](/?)\|?(?:begin_of_|end_of_)?{_THOUGHT}\|?[>\]▷]")
_ANSWERED = re.compile(r"(?is)<answer>.*?(?:</answer>|\Z)")
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
_BULLET = re.compile(
    rf"(?i)^\s*(?:[*•>#]+\s+)?(?:(?:-|\(?[0-9]{{1,2}}[.)])\s+(?={_NAME}\s*[=:∈]))?"
    r"(?:(?:and|so|thus|hence|therefore)\b,?\s*)?"
)
_PHRASE = re.compile(
    r"(?i)(?:\banswer[*_\"']*:|\b(?:answer|result|solutions?)(?: set)?(?: (?:to|of|for) the \w+)? "
    r"(?:is|are)\b|#{2,4} ?(?:final )?answer|####|答案[是为:])[*_:]*(?: ?[\"'])?"
)
# "y =" that begins a value: not the end of 2y =, 2 y =, x + y = or f(y) =.
_NAMED = re.compile(rf"(?<![-+*/^=0-9A-Za-z_)}}])(?<![-+*/^=0-9)}}] ){_NAME}\s{{0,3}}[=∈](?!=)")
_RELATION = re.compile(rf"(?<![A-Za-z]){_NAME}\s*(?:[≠<>≤≥≈]|!=|~=)")
_APART = re.compile(r"(?i)(?:[.;:⇒]|(?!\bor\b)\b[^\W\d_]{2,})\s*\Z")  # before a new statement
_WORDED = re.compile(rf"(?i)(?<![a-z])(?:{_NONE}|{_ALL})")
_CUT = re.compile(r"(?=\s|\"|[,;:(](?:\s|$)|\(|\.(?:\s|$)|≈|⇒)|(?<=[0-9])(?=[^\W\d_A-Za-z])")
_SENTENCE = re.compile(r"(?:[^.?!\n]|\.(?=[0-9]))*")
_REMARK = re.compile(  # what ends a value, or begins what is said about it
    rf"(?i)\s*(?:\Z|\.(?=\s|\Z)|\n(?!\s*[-+*/=^<>≤≥≠])|⇒|≈|\"|[,;:]?\s*\(?{_REMARK_WORD}\b"
    r"|,\s*or is it\b)"
)
_ONLY_WORDS = re.compile(r"[,;:]?\s*\(?(?:[^\W\d_]{2}|[^\W\d_A-Za-z])(?:[^\W\d_]|[\s,;:()'\"“”-])*")
FUNCTION = re.compile(
    r"(?i)(?<![A-Za-z])(?:log|ln|lg|exp|sin|cos|tan|sqrt|abs|min|max|gcd|lcm)(?![A-Za-z])"
)
_CHANGES = re.compile(rf"(?i)\b{_CHANGED}\b|[万亿千百十倍半点分]")
_DENIES = re.compile(rf"(?i)\b{_DENIED}\b")
_CHUNK = re.compile(
    r"(?:[-+±]\s?)?(?:\([0-9]+/[0-9]+\)|[0-9]|\.[0-9])(?:[0-9/]|[., '](?=[0-9])|\s?/\s?(?=[0-9]))*"
)


def extract(text: str) -> str | None:
    """Return the part of a free text that gives its answer, in a form that parses, or None.

    It is what the most explicit statement behind the thinking says: the last <answer>, the last
    \\boxed{}, a phrase such as "the answer is", the last ``variable = number`` (or a system, or
    "no solution"), the last number.  If that cannot be read wholly, nothing weaker stands in for
    it.  A thinking that is never closed is read like any text; behind one that is closed and ends
    the text, its own last ``variable = number`` counts.  For lenient scoring only.
    """
    # Without what the cut leaves of a number or a word.
    tail = text if len(text) <= TAIL else re.sub(r"\A[0-9A-Za-z.,/]+", "", text[-TAIL:])
    thinking, tail = _without_thinking(one_spelling(tail))
    if not re.sub(r"(?i)<[/a-z]*\Z", "", tail).strip():  # nothing, or the beginning of a tag
        return _statement(_lines(_boxes(_ANSWERED.sub(" ", thinking))[1]))
    spans = [re.split("(?i)</answer>", rest)[0] for rest in re.split("(?i)<answer>", tail)[1:]]
    boxes, outside = _boxes(tail)
    for span in (spans[-1:] or [""]) + (boxes[-1:] or [""]):
        if span.strip():
            return _stated(span)
    return _read(re.sub("(?i)</?answer>", "\n", outside))


def _without_thinking(text: str) -> tuple[str, str]:
    """Return the thinking that is closed, and what stands behind it."""
    marks = list(_THINKING.finditer(text))
    closing = [mark.end() for mark in marks if mark[1] or "end_of" in mark[0].lower()]
    end = closing[-1] if closing else 0
    return _THINKING.sub("\n", text[:end]), _THINKING.sub("\n", text[end:])


def _boxes(text: str) -> tuple[list[str], str]:
    """Return what stands in each box, and the text without them; a box may never be closed."""
    boxes, outside, at = [], "", 0
    while found := _BOX.search(text, at):
        outside += text[at : found.start()]
        depth, at = 1, len(text)
        for sign in re.compile(r"\\.|[{}]").finditer(text, found.end()):
            depth += {"{": 1, "}": -1}.get(sign[0], 0)
            if depth == 0:
                at = sign.end()
                break
        boxes.append(text[found.end() : at - (depth == 0)])
    return boxes, outside + text[at:]


def _stated(span: str) -> str | None:
    """Return the value that a statement gives, also after words of its own."""
    paragraph = re.split(r"\n\s*\n", span.strip())[0]
    return _beginning(paragraph) or (_read(span) if len(span) <= 2 * MAX_CHARS else None)


def _read(text: str) -> str | None:
    for found in reversed([*_PHRASE.finditer(text)][-3:]):
        after = text[found.end() : found.end() + MAX_CHARS]
        paragraph = re.split(r"\n\s*\n", after.strip())[0]
        if re.search(r"[0-9=≠<>≤≥√∞∅ℝ\\]|no |infinite|all |无", _SENTENCE.match(paragraph)[0]):
            if re.match(r"\s*\n\s*- [0-9]", after):  # a minus, or the mark of a list?
                return None
            return _beginning(paragraph) or _statement(_lines(paragraph))
    lines = _lines(text)
    return _statement(lines) if any(map(_states, lines)) else _last_number(lines)


def _lines(text: str) -> list[str]:
    """Return the last lines in one spelling, without marks of lists; empty ones are paragraphs'."""
    lines = []
    for raw in text.split("\n")[-LINES:]:
        cleaned = [_BULLET.sub("", line).strip() for line in one_line(raw).split("\n")]
        lines += [line for line in cleaned if line] or ([] if raw.strip() else [""])
    return lines


def _beginning(text: str) -> str | None:
    """Return the value with which `text` begins, if what follows is no part of it."""
    text = "\n".join(filter(None, _lines(text)))[: MAX_CHARS + 1]
    if _parsed(text):
        return text
    cuts = [found.start() for found in _CUT.finditer(text[:200])][:25]
    for cut in reversed(cuts):
        if _is_remark(text[cut:]) and _parsed(text[:cut]):
            return text[:cut]
    first = text.split("\n")[0]
    return first.rpartition("=")[2] if _holds(first) else None


def _is_remark(rest: str) -> bool:
    sentence = _SENTENCE.match(rest)[0]
    if _DENIES.search(sentence):
        return False
    if _REMARK.match(rest) or _holds(re.sub(r"\A\s*(?:and\b|[,:;])", "", rest.split("\n")[0])):
        return True
    return bool(_ONLY_WORDS.fullmatch(sentence)) and not _CHANGES.search(sentence)


def _holds(text: str) -> bool:
    """Tell whether a text is a true equality of numbers, such as ``3(5) - 4 = 11``."""
    try:
        values = {parse_number(side) for side in text.split("=")}
    except ParseError:
        return False
    return len(values) == 1 and "=" in text


def _states(line: str) -> bool:
    return bool(_NAMED.search(line) or _RELATION.search(line) or _WORDED.search(line))


def _statement(lines: list[str]) -> str | None:
    """Return the last value with a name, with those of other names in the lines above it."""
    last = next((at for at in reversed(range(len(lines))) if _states(lines[at])), None)
    stated = None if last is None else _named(lines[last])
    answer = _parsed(stated or "")
    if not answer or answer.kind != "number":
        return stated
    above = _parsed(lines[last - 1]) if last and answer.names else None
    if above and above.names == answer.names and above.values != answer.values:
        return f"{lines[last - 1]}, {stated}"  # "x = 5" above "x = -2": two roots
    system = {answer.names: stated}
    for line in filter(None, reversed(lines[:last])):
        above = _parsed(line)
        if not above or above.kind != "number" or not above.names or above.names in system:
            break
        system[above.names] = line
    return ", ".join(reversed(system.values()))


def _named(line: str) -> str | None:
    starts = [found.start() for found in _NAMED.finditer(line)][-4:]
    if starts and _DENIES.search(re.split(r"[.?!:;,]\s", line[: starts[0]])[-1]):
        return None  # "The answer is not x = 5"
    for start in starts:
        stated = _beginning(line[start:])
        if stated and start + len(stated) > starts[-1]:
            return stated
        if not stated and not (
            line[start] == line[starts[-1]] and _APART.search(line[: starts[-1]])
        ):
            return None  # a part of what cannot be read
    worded = None if starts or _RELATION.search(line) else _WORDED.search(line)
    denied = worded and re.search(r"(?i)(?:\bnot?|n't)\b[\w ]*\Z", line[: worded.start()])
    return worded[0] if worded and not denied else None


def _last_number(lines: list[str]) -> str | None:
    for line in reversed(lines):
        chunks = [*_CHUNK.finditer(line)]
        if not chunks:
            continue
        if _parsed(line) and not line.startswith("- "):
            return line
        start = chunks[-1].start()
        stated = _beginning(line[start:]) if _introduces(line[:start], chunks[-1][0]) else None
        answer = _parsed(stated or "")
        return stated if answer and answer.kind == "number" else None
    return None


def _introduces(before: str, number: str) -> bool:
    """Tell whether the text before a number leaves it the whole value: words, or "total ="."""
    sentence = re.split(r"[.?!]\s", before)[-1]
    spaced, before = before[-1:].isspace(), before.rstrip()
    if _DENIES.search(sentence) or re.match(r"[-+±]\s", number):
        return False
    if before.endswith("="):
        left = re.split(r"[:;,]", before[:-1])[-1]
        alone = re.search(r"(?<![^\W\d_])[^\W\d_](?![^\W\d_])", left)  # a variable
        return not alone and not re.search(r"[^\w\s().*/+-]|=", left) and bool(
            re.search(r"[^\W\d_]{2}", left)
            or (not re.search(r"[0-9]\(|\A[\s0-9.]*\Z", left) and _holds(left + "=" + number))
        )  # fmt: skip
    words = re.findall(r"\w+", before)[-4:]
    unit = re.search(r"[0-9][)\s,;°%]*([^\W\d_]+)\Z", before)
    if unit and not re.fullmatch(rf"(?i){_REMARK_WORD}", unit[1]):  # 5 hours 30 minutes
        return False
    if before and re.match(r"[^\W\d_]", before[-1]):
        joined = words[-1].lower() in ("of", "and", "to", "by", "or")
        whole = (spaced and (len(words[-1]) > 1 or words[-1] in "aA")) or not before[-1].isascii()
        said = " ".join(word for word in words[-3:] if word not in ("score", "scores"))
        return whole and not _CHANGES.search(said) and not (
            FUNCTION.search(words[-1]) or
            (joined and any(word[0].isdigit() for word in words))
        )  # fmt: skip
    return not before or (before[-1] in ",;:." and not re.search(r"[0-9)]\s*.\Z", before))
