"""Forms that people write, against an independent oracle: the value is drawn first, then written.

Nothing here comes from the parser, so that what it reads is compared with what was meant.  Every
text is in a form that the table of `answers` says is read (it must be read, with this value) or in
one that it says is refused (it must not be read at all).  Pairs of texts must be the same exactly
when their values are.  300 pairs as a rule, 200,000 with `--hypothesis-profile=long`.
"""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillkit.evaluation.scoring import score
from distillkit.problems.answers import extract, parse_answer, same_value

LONG = settings.default.max_examples > 100
# Only a guard against hanging, for which 200,000 pairs are too long.
pytestmark = [pytest.mark.timeout(0)] * LONG
many = settings(max_examples=200_000 if LONG else 300)

MINUS = "-−–‒‑‐﹣－—"
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
BOLD = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
VULGAR = {(1, 2): "½", (1, 3): "⅓", (2, 3): "⅔", (1, 4): "¼", (3, 4): "¾", (1, 5): "⅕",
          (4, 5): "⅘", (1, 8): "⅛", (7, 8): "⅞"}  # fmt: skip


def a_value(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return Fraction(rng.randint(-99, 99))
    if kind == 1:
        return Fraction(rng.randint(-9_999_999, 9_999_999))
    if kind == 2:
        return Fraction(rng.randint(-400, 400), rng.randint(1, 16))
    if kind == 3:
        return Fraction(rng.randint(-99_999, 99_999), rng.choice([10, 100, 1000]))
    top, bottom = rng.choice(list(VULGAR))
    return rng.choice([-1, 1]) * (rng.randint(0, 12) + Fraction(top, bottom))


def confusable(rng, value):
    """Another value that a careless reader takes for this one, or the value itself."""
    whole = int(abs(value))
    return rng.choice([
        value, value, value, -value, Fraction(whole), value - whole, value * 1000, value / 1000,
        value * 10, 1 / value if value else value, Fraction(int(str(whole)[-3:])), value + 1,
        Fraction(int(str(whole)[:1])), Fraction(value.numerator), Fraction(value.denominator),
    ])  # fmt: skip


def grouped(rng, whole, part):
    """Write digits in one country's groups; `part` are the decimals or nothing."""
    three = f"{whole:,}"
    between, point = rng.choice([(",", "."), (" ", ","), ("\u00a0", ","), ("\u202f", ","),
                                 ("\u2009", "."), ("'", "."), ("’", ","), (".", ",")])  # fmt: skip
    if part or between != "." or three.count(",") > 1:
        return three.replace(",", between) + (point + part if part else "")
    return three  # 1.234 is a decimal fraction


def size(rng, value, tight):
    """Write a number of 0 or more, bare; `tight` leaves out commas, which part lists there."""
    top, bottom = value.numerator, value.denominator
    forms = [f"{top}/{bottom}", f"{top} / {bottom}", f"{top}⁄{bottom}", f"{top}∕{bottom}",
             f"\\frac{{{top}}}{{{bottom}}}", f"\\dfrac{{ {top} }}{{ {bottom} }}",
             f"\\cfrac{{{top}}}{{{bottom}}}", f"\\tfrac{{{top}}}{{{bottom}}}",
             f"{3 * top}/{3 * bottom}"] if bottom > 1 else [str(top)] * 3  # fmt: skip
    if bottom == 1 and not tight:
        forms += [f"{top}.0", f"{top},0", f"{top}.00"]
        forms += [grouped(rng, top, "")] * 3 + [f"{top:,}".replace(",", "{,}")]
        forms += [f"{top:,}".replace(",", "\\,"), f"{top:,}".replace(",", ",\\!")]
    if bottom > 1 and top < 10:
        forms += [f"\\frac{top}{{{bottom}}}", *([f"\\frac{top}{bottom}"] * (bottom < 10))]
        forms += [f"\\frac {top} {bottom}"] * (bottom < 10)
    if bottom < 10 and bottom > 1:
        forms.append(f"\\frac{{{top}}}{bottom}")
    whole, rest = divmod(top, bottom)
    if rest and whole:
        forms += [
            f"{whole} {rest}/{bottom}",
            f"{whole} \\frac{{{rest}}}{{{bottom}}}",
            f"{whole}\\frac{{{rest}}}{{{bottom}}}",
            f"{whole}\\dfrac{{{rest}}}{{{bottom}}}",
        ]
    if (rest, bottom) in VULGAR:
        lead = str(whole) if whole else ""
        forms += [lead + VULGAR[rest, bottom]] * 3
        forms += [f"{lead} {VULGAR[rest, bottom]}"] * bool(lead)
    if bottom > 1 and 1000 % bottom == 0:
        part = f"{1000 * rest // bottom:03d}"
        part = rng.choice([part.rstrip("0"), part])
        forms += [f"{whole}.{part}"] * 3
        if not whole:
            forms.append(f".{part}")
        if not tight:
            forms += [f"{whole},{part}"] * (3 if len(part) != 3 or not whole else 0)
            if whole >= 1000:
                forms += [grouped(rng, whole, part)] * 3
            forms.append(
                f"{whole}{{,}}{part}" if len(part) != 3 or not whole else f"{whole}.{part}"
            )
    text = rng.choice(forms)
    if not text.isdecimal() and "\\" in text:
        return text
    return text.translate(rng.choice([{}, {}, {}, WIDE, BOLD]))


def number(rng, value, tight=False):
    sign = rng.choice(MINUS) if value < 0 else rng.choice(["", "", "", "+"])
    space = rng.choice(["", "", " "]) if value < 0 else ""
    return sign + space + size(rng, abs(value), tight)


UNITS = [" cm", " apples", "%", " %", "\\%", "°", "^\\circ", "^{\\circ}", " km/h", " €",
         "\\text{ m/s}", " cm²", "\\,\\text{kg}", " degrees"]  # fmt: skip
NAMES = ["x = {}", "x={}", "x: {}", "{} = x", "x ＝ {}", "𝑥 = {}", "x_1 = {}"]
WRAPS = ["{}", "{}", "{}", " {} ", "{}.", "{}。", "${}$", "$${}$$", "\\({}\\)", "\\[ {} \\]",
    "**{}**",
         "*{}*", "__{}__", "`{}`", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "\\text{{{}}}",
         "\\mathbf{{{}}}", "**${}$**", "\u200b{}\ufeff", "{}\n",
         ]  # fmt: skip


def whole_answer(rng, value):
    """Write one number as the whole of an answer."""
    text = number(rng, value)
    if rng.random() < 0.25:
        text += rng.choice(UNITS)
    if rng.random() < 0.5:
        text = rng.choice(NAMES).format(text)
    return rng.choice(WRAPS).format(text)


THOUGHTS = ["", "", "<think>\nPerhaps <answer>77</answer>?\n</think>\n",
            "<think>First \\boxed{77}, wrong.</think>", "So x = 77?\n</think>\n\n",
            "<thinking>The answer is 77.</thinking>\n", "[THINK]x = 77[/THINK]",
            "<think>a</think><think>\\boxed{77}</think>", "◁think▷77◁/think▷"]  # fmt: skip
STATED = ["<answer>{}</answer>", "<answer>\n{}\n</answer>", "<answer>x = {}</answer>",
          "So it is $\\boxed{{{}}}$.", "\\boxed {{{}}}", "\\fbox{{{}}}", "The answer is {}.",
          "The answer is: {}", "**Answer:** {}", "### Answer\n\n{}", "#### {}", "答案：{}。",
          "Therefore, x = {}.", "3x = 77, so x = {}", "- x = {}\n\nIt fits.", "2. x = {}",
          "\\[ x = {} \\]", "So **x = {}**.", "Also ist x = {}.", "x = {}, because 7 * 11 = 77",
          "x = {} ✓", "> x = {}", "The solution is x = {}", '{{"steps": [], "answer": "{}"}}',
          "77x = 1\n⇒ x = {}", "x = {}\nCheck: 7 + 70 = 77"]  # fmt: skip


def free_text(rng, value):
    """Write one number as the answer that a text comes to."""
    text = number(rng, value)
    stated = rng.choice(STATED).format(text)
    if text[1:2] == " " and "\n" + text in stated:  # a dash that may be the mark of a list
        stated = f"The answer is {text}."
    return rng.choice(THOUGHTS) + stated


def several(rng, values):
    """Write a set of roots, a pair, a system or an interval of two values."""
    low, high = values
    pieces = [number(rng, value, tight=True) for value in values]
    kind = rng.choice(["roots", "pair", "system", "interval"])
    if kind == "roots":
        form = rng.choice(["{}, {}", "{}; {}", "{} or {}", "{{{}, {}}}", "\\{{{}; {}\\}}",
                           "x = {} or x = {}", "x = {}, x = {}", "x ∈ {{{}, {}}}",
                           "x_1 = {}, x_2 = {}",
                           "x = {}\nx = {}", "x = {} ∨ x = {}",
                           "x \\in \\left\\{{{}, {}\\right\\}}"])  # fmt: skip
        return (kind, frozenset(values)), form.format(*rng.sample(pieces, 2))
    if kind == "pair":
        form = rng.choice(["({}, {})", "({}; {})", "\\left({}, {}\\right)", "（{}，{}）"])
        return (kind, values), form.format(*pieces)
    if kind == "system":
        form = rng.choice(
            [
                "x = {}, y = {}",
                "x={};y={}",
                "x = {} and y = {}",
                "(x, y) = ({}, {})",
                "x = {}\ny = {}",
                "\\begin{{cases}} x = {} \\\\ y = {} \\end{{cases}}",
            ]
        )
        return ("pair", values), form.format(*pieces)  # a pair is the system of its names in order
    left, right = rng.choice("[("), rng.choice("])")
    if (left, right) == ("(", ")"):
        left = "["
    if low >= high:
        low, high = high, low
        pieces.reverse()
    shown = ("]" if left == "(" else "[", "[" if right == ")" else "]")
    open_, close = rng.choice([(left, right), (left, right), shown])
    form = rng.choice(["{}{}, {}{}", "{}{}; {}{}", "\\left{}{}, {}\\right{}"])
    return (kind, low, high, left, right), form.format(open_, *pieces, close)


# None of these says that the value is v; a reader who sees v in it reads a part.
REFUSED = ["x ≠ {v}", "x > {v}", "x ≥ {v}", "{v} < x", "x ≈ {v}", "~{v}", "\\sqrt{{{v}}}", "√{v}",
           "2\\sqrt{{{v}}}", "{v}^2", "{v}²", "{v}³", "{v}!", "{v} × 10^3", "{v} \\cdot 10^{{3}}",
           "{v}e3", "{v} million", "{v} thousand", "{v} squared", "{v} dozen", "{v} or more",
           "{v} to 99", "{v} ± 1", "{v} + 1", "1 + {v}", "{v}x", "{v} x", "x^{v}", "x_{v}",
    "log {v}",
           "{v}:3", "{v}/0", "7/{v}/3", "{v}\u2e3a3", "¯{v}", "{v}...", "{v}…", "({v}", "{v}]",
           "|{v}|", "{v} 7", "\\overline{{{v}}}", "{v}, ∞)", "[{v}, ∞)", "not {v}", "x = y = {v}",
           "2x = {v}", "x + y = {v}", "f(x) = {v}", "{v} < x < 99", "{v} hours 30 minutes",
           "~~{v}~~", "{v} and a half", "\\text{{not }} {v}", "−−{v}", "{v} (mod 7)", "≡ {v}",
    "{v}k",
           "\u202e{v}", "{v}_2", "x ∈ {{{v}, …}}", "{v} half"]  # fmt: skip
PLACES = ["{}", "<answer>{}</answer>", "\\boxed{{{}}}", "The answer is {}.", "#### {}",
          "<think>x = 3</think>\n<answer>{}</answer>"]  # fmt: skip


def read(text):
    found = extract(text)
    return found and parse_answer(found)


@many
@given(st.integers(0, 2**62))
def test_two_texts_are_the_same_exactly_when_their_values_are(seed):
    rng = random.Random(seed)
    if rng.random() < 0.3:
        a = (a_value(rng), a_value(rng))
        if a[0] == a[1]:
            return
        (kind_a, text_a) = several(rng, a)
        b = a if rng.random() < 0.5 else (confusable(rng, a[0]), a[1])
        if b[0] == b[1]:
            return
        (kind_b, text_b) = several(rng, b)
        assert same_value(text_a, text_b) is (kind_a == kind_b), (text_a, text_b)
        return
    a = a_value(rng)
    b = confusable(rng, a)
    text_a, text_b = whole_answer(rng, a), whole_answer(rng, b)
    assert parse_answer(text_a).values == (a,), text_a
    assert same_value(text_a, text_b) is (a == b), (text_a, text_b)
    stated = free_text(rng, b)
    scored = score(stated, "eos", text_a)
    assert scored["lenient"] is (a == b), (stated, text_a, scored["read"])


@many
@given(st.integers(0, 2**62))
def test_what_is_not_the_value_is_refused_and_never_read_in_part(seed):
    rng = random.Random(seed)
    value = abs(a_value(rng)) + 2  # 0! and 1^2 are no harm
    form = rng.choice(REFUSED)
    text = rng.choice(PLACES).format(form.format(v=size(rng, value, tight=True)))
    assert read(text) is None, (text, extract(text))
