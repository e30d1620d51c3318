"""The exercises on templates: write one, read one, and choose what is learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.traces.templates import THINK
from distillkit.training.losses import IGNORE

# --- write ----------------------------------------------------------------------------------------


def _write_think(steps: Sequence[str], answer: str) -> str:
    """Write steps, one a line, between think tags, and the answer between answer tags."""
    return THINK.render("\n".join(steps), answer)


def _written(
    steps=lambda steps: "\n".join(steps),
    form="<think>\n{steps}\n</think>\n<answer>{answer}</answer>",
) -> Callable[[Sequence[str], str], str]:
    """Make writers with other steps or another form."""

    def wrong(steps_: Sequence[str], answer: str) -> str:
        return form.format(steps=steps(steps_), answer=answer)

    return wrong


write_think = Exercise(
    "write_think",
    reference=_write_think,
    hints=(
        "Where does the kit's text above have line ends?",
        "Join the steps with line ends. Then one f-string: tag, line end, steps, line end, "
        "closing tag, line end, answer in its tags.",
        'lines = "\\n".join(steps)',
    ),
    probes=[
        (["2x = 10 - 4", "2x = 6", "x = 6 / 2", "x = 3"], "x = 3"),
        (["x = 7"], "x = 7"),
        (["{x} = 1/2"], "x = 1/2"),
    ],
    mistakes=[
        Mistake(
            "the steps stand in one line: one step a line lets the student look at one at a time",
            _written(" ".join),
        ),
        Mistake(
            "this is how Python shows a list, brackets and quotes too: join the steps with line "
            "ends",
            _written(str),
        ),
        Mistake(
            "the answer's tag is not closed: generation stops at </answer>, and the student must "
            "learn to write it",
            _written(form="<think>\n{steps}\n</think>\n<answer>{answer}"),
        ),
        Mistake(
            "the thinking's tag is not closed: a parser cannot tell where the answer begins",
            _written(form="<think>\n{steps}\n<answer>{answer}</answer>"),
        ),
        Mistake(
            "the answer stands before the reasoning: then nothing is left to reason about",
            _written(form="<answer>{answer}</answer>\n<think>\n{steps}\n</think>"),
        ),
        Mistake(
            "no line ends around the tags: every example must have the same form, to the letter",
            _written(form="<think>{steps}</think><answer>{answer}</answer>"),
        ),
    ],
)

# --- read -----------------------------------------------------------------------------------------

NASTY = (  # what models really write, a clean one first
    "<think>\n2x = 6\nx = 3\n</think>\n<answer>x = 3</answer>",
    "  <think>2x = 6</think>\n\n<answer>\nx = 3\n</answer>\n",
    "<think>\n2x = 6\nx = 3\n</think>\n<answer>x = 3",
    "<think>2x = 6</think><answer>x = 4</answer><answer>x = 3</answer>",
    "<think>I write <answer>x = 1</answer> later.</think><answer>x = 3</answer>",
    "<answer>x = 3</answer>",
    "<think>2x = 6</think>\n<answer> </answer>",
    "<think>2x = 6</think><answer>x = 3</answer> I hope this helps!",
    "The answer is x = 3.",
    "",
    "<think>2x = 6\n<answer>x = 3</answer>",
)


def _read_think(text: str) -> str | None:
    """Return the answer, without spaces around it, or None if the form is not obeyed."""
    parsed = THINK.parse(text)
    return parsed.answer if parsed.ok else None


def _anywhere(text: str) -> str | None:
    found = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    return found[1].strip() or None if found else None


def _pattern(pattern: str, flags: int = re.DOTALL, whole: bool = True):
    def wrong(text: str) -> str | None:
        find = re.fullmatch if whole else re.search
        found = find(pattern, text.strip(), flags)
        return found[1].strip() or None if found else None

    return wrong


def _grouped(group: int, strip: bool = True, empty: str | None = None):
    """Make readers that give another group of a right match, or what is empty."""
    inside = r"(?:(?!</?think>|</?answer>).)*"

    def wrong(text: str) -> str | None:
        found = re.fullmatch(
            rf"<think>{inside}</think>\s*<answer>({inside})</answer>", text.strip(), re.DOTALL
        )
        if not found:
            return None
        return (found[group].strip() if strip else found[group]) or empty

    return wrong


def _empty_too(text: str) -> str | None:
    parsed = THINK.parse(text)
    return parsed.answer if parsed.ok or "empty" in parsed.problem else None


def _with_spaces(text: str) -> str | None:
    return None if _read_think(text) is None else text.split("<answer>")[1].split("</answer>")[0]


def _split(text: str) -> str | None:
    return text.split("<answer>")[1].split("</answer>")[0].strip()


def _line_ends(text: str) -> str | None:
    return None if text != text.strip() else _read_think(text)


read_think = Exercise(
    "read_think",
    reference=_read_think,
    hints=(
        "What must be true of the whole text, and not only of a part of it?",
        "Strip the text, then re.fullmatch. Between two tags use "
        "(?:(?!</?think>|</?answer>).)*, which is any text without a tag. An empty answer is "
        "None, too.",
        'inside = r"(?:(?!</?think>|</?answer>).)*"',
    ),
    probes=[(text,) for text in NASTY],
    mistakes=[
        Mistake(
            "it finds an answer anywhere: without the thinking, or with text after it, the form is "
            "not obeyed; match the whole text",
            _anywhere,
        ),
        Mistake(
            "it takes the answer of a text that goes on after it: match the whole text (fullmatch)",
            _pattern(
                r"<think>(?:(?!<answer>|</think>).)*</think>\s*<answer>((?:(?!</?answer>).)*)</answer>",
                whole=False,
            ),
        ),
        Mistake(
            "a dot does not match a line end: the steps stand on several lines (re.DOTALL)",
            _pattern(r"<think>(?:.*)</think>\s*<answer>(.*)</answer>", flags=0),
        ),
        Mistake(
            "two answers, or an answer inside the thinking, are let through: `.*`, and `.*?` too, "
            "goes on until the whole text matches; forbid tags inside, as in (?:(?!</?answer>).)*",
            _pattern(r"<think>.*</think>\s*<answer>(.*)</answer>"),
        ),
        Mistake("an empty answer is no answer: return None", _empty_too),
        Mistake("spaces and line ends around the answer are left: strip it", _with_spaces),
        Mistake(
            "it stops at a text without the tag: model output is untrusted text, and a parser must "
            "survive all of it; return None",
            _split,
        ),
        Mistake(
            "spaces and line ends around the whole text are harmless: strip it first", _line_ends
        ),
    ],
    slips=[
        Mistake("this is all that matched, tags and all: the answer is group 1", _grouped(0)),
        Mistake(
            "spaces and line ends around the answer are left, and an answer of spaces is let "
            "through: strip it, and then see whether anything is there",
            _grouped(1, strip=False),
        ),
        Mistake(
            "None comes out where there is an answer, and an empty text where there is none: `and` "
            "returns its last part, `or` its first one that is not empty",
            lambda text: "" if _grouped(1, empty="")(text) == "" else None,
        ),
        Mistake("an empty answer comes out as an empty text: return None", _grouped(1, empty="")),
    ],
)

# --- what is learned ------------------------------------------------------------------------------


def _with_labels(prompt: list[int], completion: list[int], end: int) -> tuple[list, list]:
    """Return (ids, labels): the completion and the end token are learned, the prompt is read."""
    own = [*completion, end]
    return [*prompt, *own], [IGNORE] * len(prompt) + own


def _labelled(
    ids=lambda prompt, completion, end: [*prompt, *completion, end],
    labels=lambda prompt, completion, end: [IGNORE] * len(prompt) + [*completion, end],
) -> Callable[[list[int], list[int], int], tuple[list, list]]:
    """Make pairs with other ids or other labels."""

    def wrong(prompt: list[int], completion: list[int], end: int) -> tuple[list, list]:
        return ids(prompt, completion, end), labels(prompt, completion, end)

    return wrong


with_labels = Exercise(
    "with_labels",
    reference=_with_labels,
    hints=(
        "Which tokens should the student write by itself later?",
        "ids are prompt, completion and end, one after the other. labels are as long: -100 for "
        "each prompt token, and then the same numbers as in ids.",
        "ids = prompt + completion + [end]",
    ),
    probes=[([5, 8, 2], [7, 1], 9), ([4], [6, 6, 3], 0), ([1, 2, 3, 4], [5], 2)],
    mistakes=[
        Mistake(
            "the prompt is learned, too: the student would learn to write questions",
            _labelled(labels=lambda p, c, e: [*p, *c, e]),
        ),
        Mistake(
            "the end token is missing: the student never learns to stop",
            _labelled(lambda p, c, e: [*p, *c], lambda p, c, e: [IGNORE] * len(p) + c),
        ),
        Mistake(
            "the end token is there but its label is -100: the student never learns to stop",
            _labelled(labels=lambda p, c, e: [IGNORE] * len(p) + [*c, IGNORE]),
        ),
        Mistake(
            "the labels are shifted by one: a model of transformers shifts them itself, and twice "
            "is once too often",
            _labelled(labels=lambda p, c, e: [IGNORE] * (len(p) - 1) + [*c, e, IGNORE]),
        ),
        Mistake(
            "0 is a token like any other: what is not learned gets the label -100",
            _labelled(labels=lambda p, c, e: [0] * len(p) + [*c, e]),
        ),
        Mistake(
            "the wrong way round: the prompt is learned and the completion is not",
            _labelled(labels=lambda p, c, e: [*p, *[IGNORE] * len(c), IGNORE]),
        ),
        Mistake(
            "labels and ids must be as long as each other: each token has one label",
            _labelled(labels=lambda p, c, e: [*c, e]),
        ),
    ],
    slips=[
        Mistake(
            "the completion is missing in the ids: they are prompt, completion and end",
            _labelled(ids=lambda p, c, e: [*p, e]),
        ),
        Mistake(
            "the prompt is missing in the ids: the student reads it, and learns what follows",
            _labelled(ids=lambda p, c, e: [*c, e]),
        ),
        Mistake(
            "the completion is missing in the labels: it is what the student learns",
            _labelled(labels=lambda p, c, e: [IGNORE] * len(p) + [e]),
        ),
        Mistake(
            "the labels have one -100: each token of the prompt needs its own",
            _labelled(labels=lambda p, c, e: [IGNORE, *c, e]),
        ),
        *(
            Mistake(
                f"the prompt's label is {label}: exactly -100 is left out by cross_entropy",
                _labelled(labels=lambda p, c, e, label=label: [label] * len(p) + [*c, e]),
            )
            for label in (-101, -99, 100, -1)
        ),
    ],
)

# --- bonus: braces in pairs -----------------------------------------------------------------------


def _read_boxed(text: str) -> str | None:
    r"""Return what stands in the last \boxed{…}, braces in pairs, or None if none is closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for at in range(start + len("\\boxed"), len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start + len("\\boxed{") : at]
    return None


def _wrong_boxed(kind: str):
    def wrong(text: str) -> str | None:
        if kind == "first brace":
            found = re.findall(r"\\boxed\{([^}]*)\}", text)
            return found[-1] if found else None
        if kind == "last brace":
            found = re.search(r".*\\boxed\{(.*)\}", text, re.S)
            return found[1] if found else None
        if kind == "first box":
            first = text.find("\\boxed{")
            after = text.find("\\boxed{", first + 1)
            return _read_boxed(text[: after if after > 0 else None])
        read = _read_boxed(text)
        if kind == "with braces":
            return None if read is None else "{" + read + "}"
        if kind == "empty":
            return read or ""
        return read if read is not None or "\\boxed{" not in text else text.split("\\boxed{")[-1]

    return wrong


def _counted(
    none: Callable[[int], bool] = lambda start: start < 0,
    begin: Callable[[int], int] = lambda start: start + len("\\boxed"),
    cut: Callable[[str, int, int], str] = lambda text, start, at: text[start + 7 : at],
    at_once: bool = False,
):
    """Make readers that count braces and begin, end or cut elsewhere."""

    def wrong(text: str) -> str | None:
        start, depth = text.rfind("\\boxed{"), 0
        if none(start):
            return None
        for at in range(begin(start), len(text)):
            depth += (text[at] == "{") - (text[at] == "}")
            if depth == 0 or at_once:
                return cut(text, start, at)
        return None

    return wrong


read_boxed = Exercise(
    "read_boxed",
    reference=_read_boxed,
    hints=(
        r"In \boxed{\frac{1}{2}}, which } ends the box?",
        "Find the last \\boxed{. Go on letter by letter and count: { one up, } one down. Where "
        "the count is 0 again, the box ends.",
        'start = text.rfind("\\\\boxed{")',
    ),
    probes=[
        ("So x = 3: \\boxed{3}",),
        ("\\boxed{\\frac{1}{2}}",),
        ("First \\boxed{4}, no: \\boxed{\\frac{a}{b}} is {right}.",),
        ("\\boxed{x = {1}} and then {more}",),
        ("cut off: \\boxed{\\frac{1}{2",),
        ("no box at all",),
    ],
    mistakes=[
        Mistake("it stops at the first }: braces come in pairs, and \\frac has two of them",
                _wrong_boxed("first brace")),
        Mistake("it goes on to the last } of the text: what follows the box may have braces, too",
                _wrong_boxed("last brace")),
        Mistake("it reads the first box: a solution may correct itself, so the last one counts",
                _wrong_boxed("first box")),
        Mistake("the braces of the box belong to it, and not to what stands in it",
                _wrong_boxed("with braces")),
        Mistake("without a closed box the answer is None, and not an empty text",
                _wrong_boxed("empty")),
        Mistake("a box that is never closed was cut off: that is None and not half an answer",
                _wrong_boxed("half")),
    ],
    slips=[
        Mistake("it stops at once, with an empty text: at the first look the count must be 1 "
                "already, by the brace of \\boxed{ itself; does it begin there, and with 0?",
                _counted(at_once=True)),
        Mistake("without a box rfind gives -1, and the search begins somewhere in the text: "
                "return None first", _counted(none=lambda start: False)),
        Mistake("a box at the very beginning starts at 0, and it counts: -1 says that there is "
                "none", _counted(none=lambda start: start <= 0)),
        Mistake("the braces are counted from a fixed place in the text: begin at the box",
                _counted(begin=lambda start: len("\\boxed"))),
        Mistake("the whole text comes out: cut it from behind the brace to where the count is 0",
                _counted(cut=lambda text, start, at: text)),
        Mistake("what comes out begins before the box: it begins behind its brace",
                _counted(cut=lambda text, start, at: text[start - len("\\boxed{") : at])),
        Mistake("what comes out begins at a fixed place in the text: behind the brace of the box",
                _counted(cut=lambda text, start, at: text[len("\\boxed{") : at])),
        Mistake("it goes on to the end of the text: cut it where the count is 0",
                _counted(cut=lambda text, start, at: text[start + len("\\boxed{") :])),
    ],
)  # fmt: skip
