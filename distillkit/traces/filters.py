"""Rejection sampling: rules with reasons, a funnel with counts, pass@k, and the 80/20 mix.

Sample several candidates, keep those that obey every rule: the recipe of DeepSeek-R1
(arXiv 2501.12948, sec. 2.3.3) with rules in the place of a reward model.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import comb
from typing import NotRequired, TypedDict

from distillkit.problems.algebra import (
    MAX_CHARS,
    Linear,
    ParseError,
    one_spelling,
    parse_equation,
    parse_system,
    reduced,
)
from distillkit.problems.answers import FUNCTION, numerals, one_line, same_value
from distillkit.traces.candidates import ENDED, Candidate
from distillkit.traces.templates import (
    MAX_COMPLETION_CHARS,
    TEMPLATES,
    THINK,
    Message,
    Parsed,
    Template,
    messages,
)

_OPERATIONS = {"divided by": "/", "times": "*", "plus": "+", "minus": "-", "equals": "="}
_OPERATION = re.compile(rf"(?i)\b(?:{'|'.join(_OPERATIONS)})\b")
_ITEM = re.compile(  # the mark of a list, and not a number of the line, as in (5) + y = 7
    r"\A\s*(?:[*•>#]+\s+)?(?:\(?(?:[0-9]{1,2}|[a-z])[.)]\s+(?![-+*/=]\s))?"
)
_WORDS_IN_BRACKETS = re.compile(r"\(([^()=]*[^\W\d_]{2}[^()]*)\)|\s\(\s*[*/:][^()=]*\)")
# Words, arrows and signs of a sentence stand between equations, never inside one.
_BETWEEN_EQUATIONS = re.compile(
    r"(\n|[,;](?!\d)|:(?!=)|[?!]|\.(?=\s|\Z)|\s\|\s*|<?[-=]+>|[⇒⇔→∴]"
    r"|(?<![^\W\d_])(?<!')(?:[^\W\d_]|')*[^\W\d_]{2,}(?:[^\W\d_]|')*|[^\W\d_A-Za-z]+)"
)
_NUMBER_FIRST = re.compile(r"[-+(\s]*\.?[0-9]")
_MIXED = re.compile(r"(?<![0-9./])([0-9]+) ([0-9]+/[0-9]+)(?![0-9./])")
MAX_LINE, MAX_REASONING = 160, 1200  # characters: longer is a paragraph, not a step


class Kept(Candidate):
    """A candidate with its verdict: rule -> "" or the reason to reject it."""

    verdict: dict[str, str]


class Trace(TypedDict):
    """A training example in the conversational prompt-completion form; general ones have no
    family."""

    id: str
    prompt: list[Message]
    completion: list[Message]
    teacher: str
    family: NotRequired[str]


@dataclass(frozen=True)
class Rule:
    """One reason to reject: `check(candidate, parsed)` returns "" or what is wrong."""

    name: str
    check: Callable[[Candidate, Parsed], str]


def _finished(candidate: Candidate, parsed: Parsed) -> str:
    finish = candidate["finish"]
    if finish in ENDED:
        return ""
    return "cut off before the end" if finish == "length" else f"it ended with {finish[:40]!r}"


def _template(candidate: Candidate, parsed: Parsed) -> str:
    return parsed.problem


def _correct(candidate: Candidate, parsed: Parsed) -> str:
    right = candidate["problem"]["answer"]
    return "" if same_value(parsed.answer, right) else f"{parsed.answer[:40]!r} is not {right}"


def _steps(candidate: Candidate, parsed: Parsed) -> str:
    wrong = first_wrong_step(candidate["problem"]["equation"], parsed.reasoning)
    return f"wrong step: {wrong[:60]}" if wrong else ""


def _one_language(candidate: Candidate, parsed: Parsed) -> str:
    text = candidate["text"][:MAX_COMPLETION_CHARS]  # TEMPLATE refuses longer ones
    asked = _scripts(candidate["problem"]["text"])
    allowed = asked.union(*(group for group in _TOGETHER if asked & (group - {"CJK"})))
    foreign = _scripts(text) - allowed
    names = ["Chinese" if script == "CJK" else script.title() for script in sorted(foreign)]
    return f"mixes in {', '.join(names)} letters" if foreign else ""


def _short(candidate: Candidate, parsed: Parsed) -> str:
    if any(len(line) > MAX_LINE for line in parsed.reasoning.split("\n")):
        return f"a line of more than {MAX_LINE} characters"
    return "the reasoning is too long" if len(parsed.reasoning) > MAX_REASONING else ""


def _no_repetition(candidate: Candidate, parsed: Parsed) -> str:
    lines = [line.strip() for line in parsed.reasoning.split("\n") if line.strip()]
    for one, two in pairwise(lines):
        if one == two:
            return f"says {one[:40]!r} twice in a row"
    line, times = Counter(lines).most_common(1)[0] if lines else ("", 0)
    return f"says {line[:40]!r} {times} times" if times > 2 else ""


FINISHED = Rule("finished", _finished)
TEMPLATE = Rule("template", _template)
CORRECT = Rule("correct", _correct)
STEPS = Rule("steps", _steps)
ONE_LANGUAGE = Rule("one language", _one_language)
SHORT = Rule("short", _short)
NO_REPETITION = Rule("no repetition", _no_repetition)
RULES = (FINISHED, TEMPLATE, CORRECT, STEPS, ONE_LANGUAGE, SHORT, NO_REPETITION)
DUPLICATE = "not a duplicate"  # needs the candidates before: `reject` checks it itself


def first_wrong_step(equation: str, reasoning: str) -> str:
    """Return the first displayed step that does not follow from the problem, or "".

    A line that displays an equation must have the same solutions as the problem (for a system:
    be implied by it) or rewrite an expression, as ``3(x + 2) = 3x + 6`` does; ``x = x`` says
    nothing.  An equality between numbers must be true; ``a = b = c`` is two equalities.
    Words (two letters and more side by side) and the marks of Markdown and LaTeX round an equation
    are read over, but an equals sign between things that cannot be read, or with nothing behind it,
    is a wrong step: nobody has checked it.  ``x = exactly 5`` says that x is 5; other words may be
    a side, as in ``the total = 12``.  At least one step must be displayed; ``1 = 1`` is one.
    """
    try:
        problem = parse_system(equation)
    except ParseError:
        return f"(the problem {equation!r} cannot be read)"
    target, steps = reduced(problem), 0
    lines = reasoning.split("\n")
    for number, line in enumerate(lines, 1):
        whole = line if number < len(lines) else line.rstrip("= ")  # the last may be cut off
        try:
            readings = [
                [(*parse_equation(f"{a}={b}"), a == b) for a, b in reading]
                for reading in equations_in(whole)
            ]
        except ParseError:
            return line.strip()
        steps += bool(readings[0])
        if not any(
            all(_follows(problem, target, *equality) for equality in reading)
            for reading in readings
        ):
            return line.strip()
    return "" if steps else "(no step is displayed)"


def _follows(
    problem: list[tuple[Linear, Linear]], target: tuple, left: Linear, right: Linear, same: bool
) -> bool:
    """Tell whether an equality is true, given the problem; `same` says that both sides are one
    text, which shows nothing."""
    if not (left.keys() | right.keys()) - {""}:
        return left == right
    if left == right:
        return not same
    if len(problem) == 1:
        return reduced([(left, right)]) == target
    return reduced([*problem, (left, right)]) == target


def equations_in(line: str) -> list[list[tuple[str, str]]]:
    """Return the sides of the equations that a line displays, ``a = b = c`` as two.

    There are two readings where a dash at the beginning may be the mark of a list or a minus.
    Raises ParseError for a line that cannot be read; a side may still be one that cannot.
    """
    if not re.search("(?i)=|equals", one_spelling(line)):
        return [[]]
    if len(line) > 2 * MAX_CHARS:  # refused before the slower patterns look at it
        raise ParseError(f"longer than {2 * MAX_CHARS} characters")
    text = _ITEM.sub("", _OPERATION.sub(lambda f: _OPERATIONS[f[0].lower()], one_line(line)))
    if "=" not in text:
        return [[]]
    if FUNCTION.search(text):
        raise ParseError("a function of numbers")
    dash = re.match(r"-\s+", text)
    return [_equations(reading) for reading in ([text[dash.end() :], text] if dash else [text])]


def _equations(text: str) -> list[tuple[str, str]]:
    text = _WORDS_IN_BRACKETS.sub(lambda found: f" ; {found[1] or ''} ; ", text)
    pieces = _BETWEEN_EQUATIONS.split(_MIXED.sub(r"(\1+\2)", numerals(text)))
    equations: list[tuple[str, str]] = []
    left, words = "", False  # the side before an equals sign at a piece's end; words behind it
    for between, piece in zip(["", *pieces[1::2]], pieces[::2]):
        if left and (between == "?" or any(map(str.isalpha, between))):
            words = True
        elif words:
            left, words = "", False  # they are its other side: "20 = the right side, so …"
        sides = [side.strip() for side in piece.split("=")]
        if left and piece.strip():
            if _NUMBER_FIRST.match(piece) and not ("=" in piece and re.search("[A-Za-z]", piece)):
                sides.insert(0, left)
            elif not words:
                raise ParseError("nothing stands behind an equals sign")
            left, words = "", False
        if len(sides) > 1 and not sides[-1]:
            left = sides[-2]
        sides = [side for side in sides if side]  # words stood there: "the total = 12"
        equations += pairwise(sides)
    if left and not words:
        raise ParseError("nothing stands behind an equals sign")
    return equations


# Whose question is written in one of these may be answered in all of them.
_TOGETHER = ({"HIRAGANA", "KATAKANA", "CJK"}, {"HANGUL", "CJK"})


def _scripts(text: str) -> set[str]:
    """Return the scripts of the letters in a text: LATIN, CJK, CYRILLIC, …

    Letters of formulas (``ℝ``, ``𝑥``, a raised ``n``) are those that they show.
    """
    letters = {char for char in unicodedata.normalize("NFKC", text) if char.isalpha()}
    names = {re.split("[ -]", unicodedata.name(char, "UNKNOWN"))[0] for char in letters}
    return {"CJK" if name == "IDEOGRAPHIC" else name for name in names} - {"MODIFIER"}


@dataclass
class Funnel:
    """How many candidates came in, which rule stopped how many, how many remain."""

    total: int = 0
    stopped: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    problems: int = 0
    problems_kept: int = 0

    def rows(self) -> list[tuple[str, int]]:
        """Return (stage, candidates left) from the top of the funnel to its end."""
        left, rows = self.total, [("candidates", self.total)]
        for name, count in self.stopped.items():
            left -= count
            rows.append((name, left))
        return rows

    def __str__(self) -> str:
        return "\n".join(f"{name:>16} {left:6d}" for name, left in self.rows())


def _template_of(candidate: Candidate) -> Template:
    return TEMPLATES.get(candidate["teacher"].get("template", ""), THINK)


def judge(candidate: Candidate, rules: Sequence[Rule] = RULES) -> dict[str, str]:
    """Return the verdict of every rule on one candidate: rule name -> "" or the reason."""
    parsed = _template_of(candidate).parse(candidate["text"])
    return {rule.name: rule.check(candidate, parsed) for rule in rules}


def reject(
    candidates: Sequence[Candidate], rules: Sequence[Rule] = RULES
) -> tuple[list[Kept], Funnel]:
    """Keep the candidates that obey every rule and are not copies of a kept one.

    Returns the kept ones, each with its verdict, and the funnel, which counts a rejected candidate
    at the first rule that it breaks.  Why a candidate was rejected, `judge` says.
    """
    funnel = Funnel(len(candidates), {rule.name: 0 for rule in rules} | {DUPLICATE: 0})
    kept: list[Kept] = []
    seen: set[tuple[str, str]] = set()
    for candidate in candidates:
        verdict = judge(candidate, rules)
        words = (candidate["problem"]["id"], " ".join(candidate["text"].split()))
        broken = [name for name, reason in verdict.items() if reason]
        if not broken and words in seen:
            broken = [DUPLICATE]
        if broken:
            funnel.stopped[broken[0]] += 1
            continue
        seen.add(words)
        kept.append({**candidate, "verdict": verdict})
    funnel.kept = len(kept)
    funnel.problems = len({c["problem"]["id"] for c in candidates})
    funnel.problems_kept = len({c["problem"]["id"] for c in kept})
    return kept, funnel


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the chance that k of n candidates, c of them correct, hold a correct one.

    The unbiased estimator 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, eq. 1).
    Raises ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"need 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    return 1.0 - comb(n - c, k) / comb(n, k)


def choose(
    kept: Sequence[Candidate],
    n: int | None = None,
    seed: int = 0,
    shares: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """Choose up to `n` kept candidates: one a problem first, in an order fixed by the seed.

    The families come evenly, or in proportion to `shares` (a family not named there counts 1).
    Raises ValueError for a share that is not above 0.
    """
    if any(share <= 0 for share in (shares or {}).values()):
        raise ValueError(f"shares must be above 0: {dict(shares)}")
    rng = random.Random(f"choose-{seed}")
    by_problem: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in kept:
        by_problem[candidate["problem"]["id"]].append(candidate)
    groups = list(by_problem.values())
    rng.shuffle(groups)
    turn: Counter = Counter()
    ranked = []
    for group in groups:
        for number, candidate in enumerate(group):
            turn[number, family := candidate["problem"]["family"]] += 1
            place = turn[number, family] / (shares or {}).get(family, 1)
            ranked.append((number, place, len(ranked), candidate))
    ranked.sort(key=lambda item: item[:3])
    return [candidate for *_, candidate in ranked[:n]]


def to_traces(candidates: Sequence[Candidate], template: Template | None = None) -> list[Trace]:
    """Write candidates as training data in the conversational prompt-completion form.

    Each is asked in the template that it was written in, or all in `template`.
    The prompt is zero-shot: what the teacher needed examples for, the student shall do without.
    """
    return [
        {
            "id": candidate["id"],
            "prompt": messages(candidate["problem"]["text"], template or _template_of(candidate)),
            "completion": [{"role": "assistant", "content": candidate["text"].strip()}],
            "family": candidate["problem"]["family"],
            "teacher": candidate["teacher"]["name"],
        }
        for candidate in candidates
    ]


def mix(
    traces: Sequence[Trace],
    general: Sequence[Trace],
    share: float = 0.2,
    seed: int = 0,
    or_fewer: bool = False,
) -> list[Trace]:
    """Add general examples so that they are `share` of the whole; the order is shuffled.

    Raises ValueError for a share outside [0, 1) or when there are too few general examples;
    `or_fewer` takes all there are in that case.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be at least 0 and below 1, not {share}")
    need = round(len(traces) * share / (1 - share))
    need = min(need, len(general)) if or_fewer else need
    if need > len(general):
        raise ValueError(f"{need} general examples are needed and there are {len(general)}")
    rng = random.Random(f"mix-{seed}")
    mixed = [*traces, *rng.sample(list(general), need)]
    rng.shuffle(mixed)
    return mixed
