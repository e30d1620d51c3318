"""The exercises on rejection sampling: how good a rule is, what to keep, and pass@k."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import comb

from distillkit.evaluation import choosing
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.traces import filters

# --- how good is a rule? --------------------------------------------------------------------------


def _precision_recall(rejected: Sequence[bool], faulty: Sequence[bool]) -> tuple[float, float]:
    """Return the share of the rejected that are faulty, and of the faulty that are rejected.

    A share of nothing is 1: a rule that rejects nothing accuses nobody wrongly.
    """
    both, all_rejected, all_faulty = _counts(rejected, faulty)
    return _ratio(both, all_rejected), _ratio(both, all_faulty)


def _counts(rejected: Sequence[bool], faulty: Sequence[bool]) -> tuple[int, int, int]:
    return sum(r and f for r, f in zip(rejected, faulty, strict=True)), sum(rejected), sum(faulty)


def _ratio(a: float, b: float) -> float:
    return a / b if b else 1.0


def _shares_of(hit):
    """Make a pair of shares that counts another thing as a hit."""

    def wrong(rejected: Sequence[bool], faulty: Sequence[bool]) -> tuple[float, float]:
        hits = sum(bool(hit(r, f)) for r, f in zip(rejected, faulty, strict=True))
        return _ratio(hits, sum(rejected)), _ratio(hits, sum(faulty))

    return wrong


precision_recall = Exercise(
    "precision_recall",
    reference=_precision_recall,
    hints=(
        "Both shares have the same upper number. Which one?",
        "Count where both lists say True. Divide once by the number of rejected and once by the"
        " number of faulty; if that number is 0, the share is 1.",
        "both = sum(r and f for r, f in zip(rejected, faulty))",
    ),
    probes=[
        ([True, True, True, False, False, False], [True, False, True, True, False, False]),
        ([True, False, False, False, False], [True, True, True, False, True]),
        ([True, True, True, True], [False, True, False, False]),
        ([False, False, False], [True, False, True]),
        ([True, False], [False, False]),
        ([False, False], [False, False]),
        ([False, False], [True, False]),
    ],
    mistakes=[
        Mistake(
            "the two have changed places: precision looks at what was rejected, recall at what is "
            "faulty",
            lambda r, f: _precision_recall(r, f)[::-1],
        ),
        Mistake(
            "both are divided by the number of all candidates: a rare fault would look unimportant",
            lambda r, f: (_counts(r, f)[0] / len(r), _counts(r, f)[0] / len(r)),
        ),
        Mistake(
            "the first number is the accuracy: it also counts good candidates that were kept",
            lambda r, f: (sum(a == b for a, b in zip(r, f, strict=True)) / len(r),
                          _precision_recall(r, f)[1]),
        ),
        Mistake(
            "a rule that rejects nothing gives 0: a share of nothing is 1 here, because nobody was "
            "accused wrongly",
            lambda r, f: (_counts(r, f)[0] / max(1, _counts(r, f)[1]),
                          _counts(r, f)[0] / max(1, _counts(r, f)[2])),
        ),
        Mistake(
            "it divides by a number that can be 0: say what a share of nothing is (here 1)",
            lambda r, f: (_counts(r, f)[0] / _counts(r, f)[1], _counts(r, f)[0] / _counts(r, f)[2]),
        ),
        Mistake(
            "it looks at the candidates that were kept: here a hit is a faulty one that was "
            "rejected",
            lambda r, f: (
                _ratio(sum(not a and not b for a, b in zip(r, f, strict=True)), r.count(False)),
                _ratio(sum(not a and not b for a, b in zip(r, f, strict=True)), f.count(False))),
        ),
    ],
    slips=[
        Mistake("// rounds a share down to 0 or 1: divide with /",
                lambda r, f: tuple(float(x == 1) for x in _precision_recall(r, f))),
        Mistake("it counts whatever is rejected or faulty: a hit is both at once",
                _shares_of(lambda r, f: r or f)),
        Mistake("it counts where the two lists agree, two times False included: a hit is True in "
                "both", _shares_of(lambda r, f: r == f)),
        Mistake("it counts every faulty one, rejected or not: a hit is both at once",
                _shares_of(lambda r, f: f)),
        Mistake("it counts every rejected one, faulty or not: a hit is both at once",
                _shares_of(lambda r, f: r)),
    ],
)  # fmt: skip

# --- a rule for another language with the same letters --------------------------------------------

_WORDS = """
    a about add all also always an and answer any are as at be because been both bracket brackets
    but by can carefully check choose coefficient collect combine constant correct divide divided
    do does each end equal equals equation every factor first for from get gets give given gives go
    has have hence here hope how if in into is isolate it its keep leave leaves left let like line
    make makes mean means mind minus move moves multiply must need negative new next no not now
    number numbers of on one only or other out over plus positive put reach remains remove result
    right same see side sides sign simplify since single so solution solve solved start step steps
    subtract sum sure take term terms that the their them then there therefore these they thing
    think this those times to two unknown up us use value variable want was way we what whatever
    when where which will with would write you zero
"""
ENGLISH = frozenset(_WORDS.split())  # the commonest words of English, and those of solutions


def _foreign_line(text: str, known: frozenset[str]) -> str:
    """Return the first line with three words or more of which fewer than half are known, or ""."""
    for line in text.split("\n"):
        words = re.findall(r"[^\W\d_]{2,}", line.lower())
        if len(words) >= 3 and 2 * sum(word in known for word in words) < len(words):
            return line
    return ""


def _foreign(
    least: int = 3,
    lower: bool = True,
    share=lambda hits, n: 2 * hits < n,
    whole: bool = False,
    once: bool = False,
):
    """Make rules with other limits, capital letters, over the whole text, or without repeats."""

    def wrong(text: str, known: frozenset[str]) -> str:
        for line in [text] if whole else text.split("\n"):
            words = re.findall(r"[^\W\d_]{2,}", line.lower() if lower else line)
            words = set(words) if once else words
            if len(words) >= least and share(sum(w in known for w in words), len(words)):
                return line
        return ""

    return wrong


def _split_at_spaces(text: str, known: frozenset[str]) -> str:
    for line in text.split("\n"):
        words = line.lower().split()
        if len(words) >= 3 and 2 * sum(word in known for word in words) < len(words):
            return line
    return ""


_FEW = frozenset({"the", "step", "both", "sides", "of", "we", "now", "by", "add", "from"})
foreign_line = Exercise(
    "foreign_line",
    reference=_foreign_line,
    hints=(
        "Whose words are rare in a line of another language: those of English, or the others?",
        "Go through the lines. Find the words of one line with the pattern, count how many are in "
        "known, and compare twice that number with the number of words.",
        'for line in text.split("\\n"):',
    ),
    probes=[
        ("<think>\n4x = 8\nnu dividerer vi med tallet\nx = 2\n</think>", _FEW),
        ("We divide both sides by 4.\nx = 2", _FEW),
        ("4x = 8\nsubtract et tal\nx = 2", _FEW),
        ("so geht es\nund weiter geht es", _FEW),
        ("from one to the other side we go", _FEW),
        ("divide by vier jetzt", _FEW),
        ("zwei Worte\nx = 2", _FEW),
        ("nu dividerer vi\nWe divide both sides by the sum of sides of both.", _FEW),
        ("Da\nnn\nist", _FEW),
        ("The step of nothing\nTHE SUM OF", _FEW),
        ("the step nu igen", _FEW),
        ("the step nu igen vi", _FEW),
        ("Her er Svaret\nx = 2", _FEW),
        ("the the the nu igen vi", _FEW),
        ("", _FEW),
    ],
    mistakes=[
        Mistake("capital letters are not made small: 'The' is not in the list, 'the' is",
                _foreign(lower=False)),
        Mistake("a line of one or two words is judged, too: at least three are asked for",
                _foreign(least=1)),
        Mistake("a line is refused where exactly half of the words are known: fewer than half",
                _foreign(share=lambda hits, n: 2 * hits <= n)),
        Mistake("a single unknown word is enough: names and rare words would be refused",
                _foreign(share=lambda hits, n: hits < n)),
        Mistake("only lines without any known word are refused: fewer than half",
                _foreign(share=lambda hits, n: hits == 0)),
        Mistake("the whole text is counted at once: a few foreign words drown in a long solution",
                _foreign(whole=True)),
    ],
    slips=[
        Mistake("the line comes back in small letters: return it as it stands in the text",
                lambda text, known: _foreign_line(text, known).lower()),
        Mistake("three words are enough: >= 3, not > 3", _foreign(least=4)),
        Mistake("// rounds down, and of five words two are fewer than half: compare twice the hits",
                _foreign(share=lambda hits, n: hits < n // 2)),
        Mistake("it returns lines of known words: fewer than half are to be known",
                _foreign(share=lambda hits, n: 2 * hits > n)),
        Mistake('it looks at the first line only: `return ""` comes after the loop',
                lambda text, known: _foreign_line(text.split("\n")[0], known)),
        Mistake("it returns the last such line: return the first one as soon as it is found",
                lambda text, known: _foreign_line("\n".join(text.split("\n")[::-1]), known)),
        Mistake("numbers and signs are counted as words: take the words that the pattern finds",
                _split_at_spaces),
        Mistake("a word that stands twice in a line counts twice: keep the list, without set(…)",
                _foreign(once=True)),
        Mistake('where no line is found, None comes back: `return ""` after the loop',
                lambda text, known: _foreign_line(text, known) or None),
    ],
)  # fmt: skip

# --- what is kept ---------------------------------------------------------------------------------

Judged = tuple[str, str, bool]  # problem, text, whether it obeys every rule


def _keep(candidates: Sequence[Judged], most: int) -> list[Judged]:
    """Return the candidates that obey every rule, at most `most` a problem, no text twice."""
    kept: list[Judged] = []
    for candidate in candidates:
        problem, text, obeys = candidate
        taken = [other[1] for other in kept if other[0] == problem]
        if obeys and len(taken) < most and text not in taken:
            kept.append(candidate)
    return kept


def _keep_wrong(
    any_text: bool = False,
    everything: bool = False,
    no_limit: bool = False,
    more: int = 0,
    limit_of_all: bool = False,
    across: bool = False,
    first_only: bool = False,
):
    """Make functions that forget one of the conditions, or count the wrong thing."""

    def wrong(candidates: Sequence[Judged], most: int) -> list[Judged]:
        kept: list[Judged] = []
        looked_at: Counter = Counter()
        for candidate in candidates:
            problem, text, obeys = candidate
            looked_at[problem] += 1
            taken = [other for other in kept if other[0] == problem]
            number = looked_at[problem] - 1 if first_only else len(taken)
            if limit_of_all:
                number = len(kept)
            if (
                (obeys or everything)
                and (no_limit or number < most + more)
                and (any_text or text not in [other[1] for other in (kept if across else taken)])
            ):
                kept.append(candidate)
        return kept

    return wrong


def _keep_counting_rejected(candidates: Sequence[Judged], most: int) -> list[Judged]:
    texts: dict[str, set[str]] = {}
    kept = []
    for candidate in candidates:
        problem, text, obeys = candidate
        known = texts.setdefault(problem, set())
        if len(known) < most and text not in known:
            known.add(text)
            kept += [candidate] * obeys
    return kept


def _keep_beside(candidates: Sequence[Judged], most: int) -> list[Judged]:
    kept: list[Judged] = []
    for candidate in candidates:
        taken = [other for other in kept if other[0] == candidate[0]]
        if candidate[2] and len(taken) < most and candidate not in kept[-1:]:
            kept.append(candidate)
    return kept


keep = Exercise(
    "keep",
    reference=_keep,
    hints=(
        "What do you have to remember about each problem while you go through the list?",
        "A dict from each problem to the set of texts that were kept. A candidate stays if it "
        "obeys, if the set is smaller than most, and if its text is not in the set.",
        "kept, texts = [], {}",
    ),
    probes=[
        ([("p", "a", True), ("p", "b", False), ("p", "c", True), ("q", "a", True),
          ("q", "a", True), ("q", "d", True)], 2),
        ([("p", "a", False), ("p", "b", True), ("p", "b", True), ("p", "c", True),
          ("q", "x", False), ("q", "y", True)], 1),
        ([("p", "a", True), ("q", "b", True), ("p", "c", True), ("q", "d", True),
          ("p", "e", True), ("p", "f", True)], 2),
        ([("p", "a", False), ("p", "b", False)], 3),
        ([("p", "a", True), ("p", "b", True), ("p", "a", True), ("q", "c", True),
          ("p", "d", True)], 3),
        ([], 1),
    ],
    mistakes=[
        Mistake("copies are kept, too: the same text twice teaches nothing new and weighs double",
                _keep_wrong(any_text=True)),
        Mistake("candidates that break a rule are kept", _keep_wrong(everything=True)),
        Mistake("one more than `most` is kept: < or <=, that is the question", _keep_wrong(more=1)),
        Mistake("there is no limit a problem: easy problems would crowd out the hard ones",
                _keep_wrong(no_limit=True)),
        Mistake("the limit is one for all problems together: count each problem on its own",
                _keep_wrong(limit_of_all=True)),
        Mistake("texts are compared across problems: the same text may solve two of them",
                _keep_wrong(across=True)),
        Mistake("it looks at the first candidates only: a problem whose first one is wrong is lost,"
                " and that is what several candidates are for", _keep_wrong(first_only=True)),
        Mistake("it returns the texts: return the candidates",
                lambda candidates, most: [text for _, text, _ in _keep(candidates, most)]),
    ],
    slips=[
        Mistake("one less than `most` is kept: compare the number with most itself",
                _keep_wrong(more=-1)),
        Mistake("the order is another one: candidates stay in the order of the list",
                lambda candidates, most: sorted(
                    _keep(candidates, most),
                    key=lambda kept: [problem for problem, *_ in candidates].index(kept[0]))),
        Mistake("a candidate that breaks a rule takes a place: only what is kept counts",
                _keep_counting_rejected),
        Mistake("a copy is only seen directly after its twin: compare with all that is kept",
                _keep_beside),
    ],
)  # fmt: skip

# --- pass@k ---------------------------------------------------------------------------------------


pass_at_k = Exercise(
    "pass_at_k",
    reference=filters.pass_at_k,
    hints=(
        "What is the chance that *none* of the k is right?",
        "comb(n - c, k) ways to draw only wrong ones, comb(n, k) ways to draw at all. Divide "
        "with /, not //.",
        "return 1 - ...",
    ),
    probes=[(8, 2, 1), (8, 2, 4), (8, 6, 4), (4, 0, 2), (4, 4, 3), (10, 1, 10), (8, 3, 2)],
    mistakes=[
        Mistake(
            "1 - (1 - c/n)^k draws with replacement: here k *different* candidates are drawn, and "
            "the formula is too low",
            lambda n, c, k: 1 - (1 - c / n) ** k,
        ),
        Mistake(
            "this is the chance that none of the k is right: take it from 1",
            lambda n, c, k: comb(n - c, k) / comb(n, k),
        ),
        Mistake(
            "this is the chance that all k are right: one is enough",
            lambda n, c, k: comb(c, k) / comb(n, k),
        ),
        Mistake("k is left out: c/n is pass@1", lambda n, c, k: c / n),
        Mistake(
            "k times c/n counts a draw with two right ones twice",
            lambda n, c, k: min(1.0, k * c / n),
        ),
        Mistake(
            "it is 1 as soon as any of the n is right, which is pass@n; or is there a // in it? "
            "That rounds down to a whole number: divide with /",
            lambda n, c, k: float(c > 0),
        ),
    ],
    slips=[
        Mistake(
            "this is the chance that not all k are right: count the ways to draw only wrong ones",
            lambda n, c, k: 1 - comb(c, k) / comb(n, k),
        ),
        Mistake(
            "1 is taken from the ways, and it should be the share of them: divide first",
            lambda n, c, k: (1 - comb(n - c, k)) / comb(n, k),
        ),
        Mistake(
            "the chance that none is right is added to 1: take it from 1",
            lambda n, c, k: 1 + comb(n - c, k) / comb(n, k),
        ),
        Mistake(
            "the ways to draw only wrong ones are no chance: divide them by all ways, comb(n, k)",
            lambda n, c, k: 1 - comb(n - c, k),
        ),
        Mistake(
            "one too many: n - c of the candidates are wrong",
            lambda n, c, k: 1 - comb(n - c + 1, k) / comb(n, k),
        ),
    ],
)

# --- bonus: the majority --------------------------------------------------------------------------


def _wrong_majority(kind: str):
    def wrong(answers: Sequence[str | None], same) -> str | None:
        given = [a for a in answers if a is not None]
        if kind == "None votes":
            none = answers.count(None)
            best = choosing.majority(answers, same)
            return None if none > sum(same(best, b) for b in given) else best
        if not given:
            return "" if kind == "empty" else None
        if kind == "spelling":
            return max(given, key=given.count)
        if kind == "first":
            return given[0]
        if kind == "last":
            return given[-1 - max(range(len(given)), key=lambda i: sum(
                same(given[-1 - i], b) for b in given))]  # fmt: skip
        if kind == "more than half":
            best = choosing.majority(answers, same)
            return best if 2 * sum(same(best, b) for b in given) > len(answers) else None
        return choosing.majority(answers, same)

    return wrong


def _same_number(a: str, b: str) -> bool:
    return float(a.removeprefix("x = ")) == float(b.removeprefix("x = "))


majority = Exercise(
    "majority",
    reference=choosing.majority,
    hints=(
        "Are 'x = 4' and '4.0' one vote or two?",
        "For each answer that is there count the answers that are the same by `same`. The "
        "largest count wins; of equal ones the first in the list.",
        "given = [answer for answer in answers if answer is not None]",
    ),
    probes=[
        (["x = 4", "3", "4.0", None], _same_number),
        (["1", "2", "x = 2", "1.0", "2"], _same_number),
        (["5", "6"], _same_number),
        ([None, "7", None, None], _same_number),
        (["8", "8.0", "x = 8", "9", "9"], _same_number),
        ([None, None], _same_number),
        (["1", "1", "1.0", "x = 2", "x = 2"], _same_number),
    ],
    mistakes=[
        Mistake("texts are counted and not values: 'x = 4' and '4.0' are one answer",
                _wrong_majority("spelling")),
        Mistake("an answer that could not be read does not vote", _wrong_majority("None votes")),
        Mistake("this is the first answer: count how many others agree with each",
                _wrong_majority("first")),
        Mistake("of equally many votes the first in the list wins, not the last",
                _wrong_majority("last")),
        Mistake("the largest group wins, even if it is less than half of all",
                _wrong_majority("more than half")),
        Mistake("without any answer there is nothing to return but None",
                _wrong_majority("empty")),
    ],
    slips=[
        Mistake("two things at once: None votes; and texts are counted, not values by `same`",
                lambda answers, same: max(answers, key=answers.count)),
    ],
)  # fmt: skip
