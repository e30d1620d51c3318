"""Rejection sampling: each rule, the funnel's arithmetic, pass@k, the choice and the mix."""

from __future__ import annotations

import copy
import random
import time
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillkit.problems.equations import NARROW, make_problem, make_problems
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import (
    CORRECT,
    DUPLICATE,
    FINISHED,
    MAX_LINE,
    NO_REPETITION,
    ONE_LANGUAGE,
    RULES,
    SHORT,
    STEPS,
    TEMPLATE,
    choose,
    first_wrong_step,
    judge,
    mix,
    pass_at_k,
    reject,
    to_traces,
)
from distillkit.traces.templates import TEMPLATES, messages, render_solution

settings.register_profile("kit", deadline=None)
settings.load_profile("kit")

SYSTEM = "x - 2y = -4, 3x + y = -19"  # x = -6, y = -1


def candidate(text, equation="3x + 5 = 20", finish="eos", number=0, template="think", family="own"):
    problem = make_problem(equation, family)
    return {"id": f"{problem.id}/{number}", "problem": problem.record(),
            "teacher": {"name": "test", "template": template}, "candidate": number,
            "text": text, "finish": finish, "tokens": 9, "seconds": 0.1}  # fmt: skip


def thought(reasoning, answer="x = 5", **options):
    """A candidate in the usual template, by default for 3x + 5 = 20."""
    text = f"<think>\n{reasoning}\n</think>\n<answer>{answer}</answer>"
    return candidate(text, **options)


GOOD = "3x = 20 - 5\n3x = 15\nx = 15 / 3\nx = 5"


def broken(one):
    """Return {rule: reason} of the rules that a candidate breaks."""
    return {name: reason for name, reason in judge(one).items() if reason}


# --- each rule -------------------------------------------------------------------------------


def test_a_good_candidate_obeys_every_rule():
    assert judge(thought(GOOD)) == {rule.name: "" for rule in RULES}


@pytest.mark.parametrize("name", ["think", "boxed", "headings", "json"])
def test_the_exact_solution_obeys_every_rule_in_every_template_with_steps(name):
    for problem in make_problems(12, ("two-step", "rational", "systems"), "ood"):
        text = render_solution(problem, TEMPLATES[name])
        assert broken(candidate(text, problem.equation, template=name)) == {}


@pytest.mark.parametrize("finish", ["eos", "stop"])
def test_a_finished_text_is_kept(finish):
    assert broken(thought(GOOD, finish=finish)) == {}


def test_a_text_that_was_cut_off_is_rejected_even_if_it_looks_whole():
    assert broken(thought(GOOD, finish="length")) == {"finished": "cut off before the end"}


def test_a_text_without_the_form_is_rejected_with_the_templates_reason():
    reasons = broken(candidate("x = 5"))
    assert "form of the template 'think'" in reasons["template"]


def test_a_candidate_is_read_in_its_own_template():
    boxed = candidate(f"{GOOD}\n\\boxed{{x = 5}}", template="boxed")
    assert broken(boxed) == {}
    boxed["teacher"]["template"] = "think"
    assert "template" in broken(boxed)


@pytest.mark.parametrize("answer", ["x = 5", "5", "5.0", "x = 10/2", " 5 ", "x=5."])
def test_the_answer_counts_by_value(answer):
    assert broken(thought(GOOD, answer)) == {}


@pytest.mark.parametrize("answer", ["x = 4", "-5", "x = 5, y = 1", "y = five", "15/3 + 1", "4.999"])
def test_a_wrong_answer_after_right_steps_is_rejected(answer):
    reasons = broken(thought(GOOD, answer))
    assert reasons == {"correct": f"{answer!r} is not x = 5"}


@pytest.mark.parametrize(
    ("reasoning", "wrong"),
    [
        ("3x = 20 + 5\n3x = 15\nx = 5", "3x = 20 + 5"),  # the sign was not turned
        ("3x = 16\nx = 5", "3x = 16"),  # arithmetic
        ("3x = 15\nx = 15 - 3\nx = 5", "x = 15 - 3"),  # the wrong operation
        ("3x = 15\nx = 15 / 3 = 4\nx = 5", "x = 15 / 3 = 4"),  # the second half of a chain
        ("3x = 15 = 20 - 4\nx = 5", "3x = 15 = 20 - 4"),
        ("Step 1: 3x = 12\nx = 5", "Step 1: 3x = 12"),
        ("3x = 15\nCheck: 3*5 + 5 = 21\nx = 5", "Check: 3*5 + 5 = 21"),
        ("y = 5", "y = 5"),  # another letter
        ("3x = 15\nx = x\nx = 5", "x = x"),  # true, but not the problem
        ("3x = 15, x = 4\nx = 5", "3x = 15, x = 4"),
        ("3x = 15 and x = 4\nx = 5", "3x = 15 and x = 4"),
        ("3x = 15\r\nx = 4\r\nx = 5", "x = 4"),
        ("3x = 3,000\nx = 5", "3x = 3,000"),
        ("**3x = 16**\nx = 5", "**3x = 16**"),  # marks hide nothing
        ("3x = 16 ✓\nx = 5", "3x = 16 ✓"),
        ("$3x = 16$\nx = 5", "$3x = 16$"),
        ("- 3x = 16\nx = 5", "- 3x = 16"),
        ("1. 3x = 16\nx = 5", "1. 3x = 16"),
        ("(9) - x = 5\nx = 5", "(9) - x = 5"),  # no mark of a list
        ("(7) - 3x = 15\nx = 5", "(7) - 3x = 15"),
        ("3x = 16 | : 3\nx = 5", "3x = 16 | : 3"),
        ("3x = 16 ⇒ x = 5", "3x = 16 ⇒ x = 5"),
        ("We get 3x = 16, so x = 5.", "We get 3x = 16, so x = 5."),
        ("3x = 16 (subtract 5)\nx = 5", "3x = 16 (subtract 5)"),
        ("3x equals 16\nx = 5", "3x equals 16"),
        ("\\[ 3x = 16 \\]\nx = 5", "\\[ 3x = 16 \\]"),
        ("3x = √225\nx = 5", "3x = √225"),  # nobody can check it
        ("3x = sqrt(225)\nx = 5", "3x = sqrt(225)"),
        ("3x := 15\nx = 5", "3x := 15"),
        ("x = 5^1\nx = 5", "x = 5^1"),
        ("3x + 5 = 20\n3x = exactly 99\nx = 5", "3x = exactly 99"),  # words hide nothing
        ("3x = the number 99\nx = 5", "3x = the number 99"),
        ("3x = 15\nx =: 99\nx = 5", "x =: 99"),
        ("3x = 15, x = , 7\nx = 5", "3x = 15, x = , 7"),
        ("3x = 15, x = , y\nx = 5", "3x = 15, x = , y"),
        ("3x = → 99\nx = 5", "3x = → 99"),
        ("x = ? 7\nx = 5", "x = ? 7"),
        ("3x =\nx = 5", "3x ="),
    ],
)
def test_a_right_answer_after_a_wrong_step_is_rejected(reasoning, wrong):
    assert broken(thought(reasoning)) == {"steps": f"wrong step: {wrong}"}


@pytest.mark.parametrize(
    "reasoning",
    [
        "3x = 20 - 5 = 15\nx = 15/3 = 5",
        "First we take 5 away from both sides.\n3x = 15\nThen divide: x = 5.",
        "Step 1: 3x + 5 - 5 = 20 - 5\nStep 2: 3x = 15\nx = 15 ÷ 3",
        "15 = 3x\n5 = x",
        "20 - 5 = 15\n15 / 3 = 5\nx = 5",
        "3x = 15; x = 5",
        "3x = 15 and x = 5",
        "x = \\frac{15}{3}",
        "3·x = 15",
        "- 3x = 15\n- x = 5",
        "* 3x = 15\n* x = 5",
        "1. 3x = 15\n2. x = 5",
        "1) -3x = -15\n2) x = 5",
        "(5) + x = 10\nx = 5",
        "a) 3x = 15\nb) x = 5",
        "$3x = 15$\n$$x = 5$$",
        "\\[ 3x = 15 \\]\n\\(x = 5\\)",
        "**3x = 15**\n`x = 5` ✓",
        "**Step 1:** 3x = 15 (subtract 5 from both sides)",
        "3x &= 15 \\\\ x &= 5",
        "3x + 5 = 20 | -5\n3x = 15 | : 3",
        "3x = 15 ⇒ x = 5",
        "So 3x = 15, and we get x = 15 divided by 3 = 5.",
        "3x equals 15. Therefore x = 5!",
        "The left side = 3·5 + 5 = 20 = the right side",
        "3x = １５\nx ＝ 5",
        "−3x = −15",
        "x = 4 1/2 + ½",
        "x = 4\\frac{1}{2} + 0,5",
        "Let us = think\nx = 5",
        "the total = 12\nx = 5",
        "3x = exactly 15\nx =: 5",
        "20 = the right side, so 3x = 15",
        "x = 5 = the solution of 3x + 5 = 20",
        "3x + 5 = 20, x = ?\nx = 5",
        "Let x = the price of an apple; x = 5",
        "x = 5\n3x =",  # cut off
    ],
)
def test_right_steps_may_be_written_in_many_ways(reasoning):
    assert broken(thought(reasoning)) == {}


@pytest.mark.parametrize("reasoning", ["", "I know this one.", "5", "Let us = think", "= ="])
def test_at_least_one_step_has_to_be_displayed(reasoning):
    assert broken(thought(reasoning)) == {"steps": "wrong step: (no step is displayed)"}


def test_a_thousand_is_one_number_and_no_list():
    assert first_wrong_step("x - 500 = 500", "x = 1,000") == ""
    assert first_wrong_step("x - 500 = 500", "x = 1,001") == "x = 1,001"


@pytest.mark.parametrize(
    ("reasoning", "wrong"),
    [
        ("x = 2y - 4\n3(2y - 4) + y = -19\n7y = -7\ny = -1\nx = -6", ""),
        ("y = -1\nx = -6", ""),
        ("x = -6, y = -1", ""),
        ("4x - y = -23\nx = -6", ""),  # the sum of the two equations
        ("x = 2y + 4\ny = -1\nx = -6", "x = 2y + 4"),
        ("7y = 7\ny = -1\nx = -6", "7y = 7"),
        ("x = -6, y = 1", "x = -6, y = 1"),
        ("x = -6 and y = 1", "x = -6 and y = 1"),
        ("x + z = 1", "x + z = 1"),  # does not follow from the problem
        ("x = x", "x = x"),  # true, but not the problem
        ("2(x + 1) = 2x + 2\nx = -6\ny = -1", ""),
    ],
)
def test_each_step_of_a_system_has_to_follow_from_it(reasoning, wrong):
    assert first_wrong_step(SYSTEM, reasoning) == wrong


@pytest.mark.parametrize("line", ["a'" * 3990 + "=1", "a'" * 395 + "=1", "(" + "ab " * 2600 + "=1"])
def test_a_long_line_without_a_word_costs_no_time(line):
    began = time.perf_counter()
    assert first_wrong_step("x = 1", line) == line or len(line) < 800
    assert time.perf_counter() - began < 0.1


def test_a_paragraph_without_an_equation_is_no_wrong_step():
    assert first_wrong_step("x = 1", "We think of it once more. " * 100 + "\nx = 1") == ""


def test_a_problem_that_cannot_be_read_is_said_to_be_so():
    assert "cannot be read" in first_wrong_step("9**9**9", "x = 5")


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("所以 x = 5", "Chinese"),
        ("Поэтому", "Cyrillic"),
        ("Тhus x is 5", "Cyrillic"),  # the first letter is not a T
        ("よって", "Hiragana"),
        ("لذلك", "Arabic"),
        ("π is not used", "Greek"),
    ],
)
def test_letters_of_another_script_are_rejected(line, script):
    assert broken(thought(f"{GOOD}\n{line}")) == {"one language": f"mixes in {script} letters"}


@pytest.mark.parametrize(
    "line",
    ["therefore → done ✓",
     "déjà vu, größer", "3·5 − 4 ≤ 11 😀", "𝑥 is real", "x ∈ ℝ", "ｘ", "aⁿ, a₁, ﬁ",
     "ℓ is a letter"],
)  # fmt: skip
def test_signs_and_accents_are_no_other_language(line):
    assert ONE_LANGUAGE.name not in broken(thought(f"{GOOD}\n{line}"))


def test_the_script_of_the_question_may_be_used_in_the_answer():
    one = thought(f"所以\n{GOOD}")
    one["problem"]["text"] = "求解 x: 3x + 5 = 20"
    assert broken(one) == {}


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("次の方程式を解きなさい", "プラスの数を引く"),
        ("カタカナ", "ひらがなと漢字、々"),
        ("방정식", "方程式"),
    ],
)
def test_writing_systems_that_go_together_may_mix(question, line):
    one = thought(f"{line}\n{GOOD}")
    one["problem"]["text"] = f"{question}: 3x + 5 = 20"
    assert broken(one) == {}
    one["problem"]["text"] = "求解 x: 3x + 5 = 20"
    assert ("one language" in broken(one)) is (line != "方程式")


def test_a_paragraph_is_no_step():
    long = "We take five away from both sides " * (MAX_LINE // 30)
    assert broken(thought(f"{long}\n{GOOD}")) == {"short": "a line of more than 160 characters"}


def test_many_steps_are_too_many():
    lines = "\n".join(f"{3 * n}x = {15 * n}" for n in range(1, 120))
    assert broken(thought(lines)) == {"short": "the reasoning is too long"}


@pytest.mark.parametrize(
    ("reasoning", "reason"),
    [
        ("3x = 15\n3x = 15\nx = 5", "says '3x = 15' twice in a row"),
        ("3x = 15\n\n  3x = 15\nx = 5", "says '3x = 15' twice in a row"),
        ("3x = 15\nwait\n3x = 15\nno\n3x = 15\nx = 5", "says '3x = 15' 3 times"),
    ],
)
def test_repetition_is_rejected(reasoning, reason):
    assert broken(thought(reasoning)) == {"no repetition": reason}


def test_a_line_may_come_back_once():
    assert broken(thought("3x = 15\nx = 5\nCheck:\n3x = 15")) == {}


# --- the funnel ------------------------------------------------------------------------------

CANDIDATES = {
    None: thought(GOOD),
    "finished": thought("3x = 16", "4", finish="length"),
    "template": candidate("x = 5"),
    "correct": thought("3x = 16", "4"),
    "steps": thought("3x = 16\n所以"),
    "one language": thought(f"{GOOD}\n所以 " + "a" * 200),
    "short": thought("3x = 15\n3x = 15\n" + "a" * 200),
    "no repetition": thought("3x = 15\n3x = 15"),
}


@pytest.mark.parametrize("name", CANDIDATES, ids=str)
def test_the_first_broken_rule_stops_a_candidate(name):
    kept, funnel = reject([CANDIDATES[name]])
    assert len(kept) == (name is None)
    assert {rule for rule, count in funnel.stopped.items() if count} == {name} - {None}


def test_every_rule_has_a_case_above():
    assert set(CANDIDATES) - {None} == {rule.name for rule in RULES}


@given(st.lists(st.sampled_from(list(CANDIDATES)), max_size=20))
def test_the_funnel_adds_up(names):
    candidates = [CANDIDATES[name] for name in names]
    kept, funnel = reject(candidates)
    assert funnel.total == len(names)
    assert funnel.total - sum(funnel.stopped.values()) == funnel.kept == len(kept)
    assert funnel.kept == min(1, names.count(None)), "copies are kept once"
    for rule in RULES:
        assert funnel.stopped[rule.name] == names.count(rule.name)
    left = [count for _, count in funnel.rows()]
    assert left == sorted(left, reverse=True) and (left[0], left[-1]) == (len(names), len(kept))
    assert (funnel.problems, funnel.problems_kept) == (min(1, len(names)), len(kept))


def test_every_rule_gives_its_verdict_not_only_the_first_broken_one():
    verdicts = [judge(one) for one in CANDIDATES.values()]
    for verdict in verdicts:
        assert set(verdict) == {rule.name for rule in RULES}
        assert all(isinstance(reason, str) for reason in verdict.values())
    assert len([reason for reason in verdicts[1].values() if reason]) == 3


def test_the_kept_carry_their_verdict_and_what_was_given_stays_as_it_was():
    candidates = [thought(GOOD), thought("3x = 16"), thought(GOOD)]
    before = copy.deepcopy(candidates)
    (kept,), _ = reject(candidates)
    assert candidates == before
    assert kept == {**candidates[0], "verdict": {rule.name: "" for rule in RULES}}
    traces = to_traces(choose([kept], 1))
    assert kept["verdict"] and candidates == before and traces[0]["id"] == kept["id"]


def test_choosing_and_mixing_change_nothing_that_they_were_given():
    kept = [thought(GOOD), thought(GOOD, equation="x + 1 = 6")]
    traces, general = to_traces(kept), copy.deepcopy(GENERAL)
    before = copy.deepcopy((kept, traces))
    choose(kept, 1, shares={"own": 2})
    mix(traces, general, 0.5)
    assert ((kept, traces), general) == (before, GENERAL)


def test_a_copy_is_rejected_also_when_only_white_space_differs():
    kept, funnel = reject([thought(GOOD), thought(GOOD.replace("\n", "\n\n")), thought("3x = 15")])
    assert [one["text"] for one in kept] == [thought(GOOD)["text"], thought("3x = 15")["text"]]
    assert funnel.stopped[DUPLICATE] == 1


def test_a_copy_of_a_rejected_text_is_rejected_for_the_same_reason():
    _, funnel = reject([thought("3x = 16"), thought("3x = 16")])
    assert (funnel.stopped["steps"], funnel.stopped[DUPLICATE]) == (2, 0)


def test_the_same_text_for_another_problem_is_no_copy():
    both = [thought("x = 5"), thought("x = 5", equation="x + 1 = 6")]
    assert len(reject(both)[0]) == 2


def test_fewer_rules_keep_more():
    _, funnel = reject([thought("3x = 16")], (FINISHED, TEMPLATE, CORRECT))
    assert funnel.kept == 1
    assert set(funnel.stopped) == {"finished", "template", "correct", DUPLICATE}


def test_the_funnel_prints_one_line_a_stage():
    lines = str(reject([thought(GOOD), thought("3x = 16")])[1]).split("\n")
    assert lines[0].split() == ["candidates", "2"]
    assert lines[4].split() == ["steps", "1"]
    assert len(lines) == 2 + len(RULES)


def test_no_candidates_make_an_empty_funnel():
    kept, funnel = reject([])
    assert (kept, funnel.total, funnel.kept, funnel.problems) == ([], 0, 0, 0)


# --- texts that were made to hurt ------------------------------------------------------------

RUN_ME = "__import__('os').system('touch ran')"
HOSTILE = {
    "10 MB": "x = 5 " * 1_700_000,
    "10 MB of Chinese": "解" * 10_000_000,
    "10 MB in the form": f"<think>{'x' * 10_000_000}</think><answer>5</answer>",
    "code": f"<think>\n{RUN_ME}\nx = {RUN_ME}\n</think>\n<answer>{RUN_ME}</answer>",
    "a tower": "<think>\nx = 9**9**9\n9**9**9 = 1\n</think>\n<answer>9**9**9</answer>",
    "a power": "<think>\nx = 9^9^9\n</think>\n<answer>10^999999999</answer>",
    "a long number": f"<think>\nx = {'9' * 7000}\n</think>\n<answer>{'9' * 900}</answer>",
    "NUL": "<think>\nx\0 = 5\n\0\n</think>\n<answer>\0</answer>",
    "bidi": "<think>\n\u202ex = 5\u202c\n</think>\n<answer>\u202e5</answer>",
    "half a surrogate pair": "<think>\nx = 5 \ud800\n</think>\n<answer>\udfff</answer>",
    "equals signs": f"<think>\n{'=' * 7900}\n</think>\n<answer>5</answer>",
    "one long chain": f"<think>\n{'x=5=' * 1900}x\n</think>\n<answer>5</answer>",
    "many lines": "<think>\n" + "x=5\n" * 1900 + "</think>\n<answer>5</answer>",
    "many brackets": f"<think>\nx = {'(' * 7000}\n</think>\n<answer>{'(' * 300}5</answer>",
    "JSON": '{"steps": ' + "[" * 100_000,
    "format": "<think>\n{0.__class__} %s %n\n</think>\n<answer>{}</answer>",
}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_judged_quickly_and_runs_nothing(text, template, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = candidate(text, template=template)
    began = time.process_time()
    kept, _ = reject([one])
    assert time.process_time() - began < 5, "at most 0.2 s on a quiet machine"
    assert kept == []
    assert all(len(reason) < 200 for reason in judge(one).values())
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_problem_in_a_journal_is_not_run_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = thought(GOOD)
    one["problem"] |= {"equation": RUN_ME, "answer": RUN_ME}
    assert reject([one])[0] == []
    assert list(tmp_path.iterdir()) == []


# --- pass@k ----------------------------------------------------------------------------------

SMALL = [(n, c, k) for n in range(1, 7) for c in range(n + 1) for k in range(1, n + 1)]


@pytest.mark.parametrize(("n", "c", "k"), SMALL)
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_one(n, c, k):
    subsets = list(combinations(range(n), k))  # the first c candidates are the correct ones
    share = sum(min(subset) < c for subset in subsets) / len(subsets)
    assert pass_at_k(n, c, k) == pytest.approx(share, abs=1e-12)


def test_pass_at_k_agrees_with_a_simulation():
    rng, draws = random.Random(0), 20_000
    hits = sum(min(rng.sample(range(10), 4)) < 3 for _ in range(draws))
    assert pass_at_k(10, 3, 4) == pytest.approx(hits / draws, abs=0.01)  # 3 standard errors


def test_pass_at_k_is_not_the_biased_estimate():
    n, c, k = 10, 3, 4
    assert pass_at_k(n, c, k) - (1 - (1 - c / n) ** k) > 0.05


def test_pass_at_k_is_unbiased_where_the_simple_estimate_is_not():
    p, n, k = 0.3, 8, 4
    chance = [combinations_of(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    mean = sum(w * pass_at_k(n, c, k) for c, w in enumerate(chance))
    simple = sum(w * (1 - (1 - c / n) ** k) for c, w in enumerate(chance))
    assert mean == pytest.approx(1 - (1 - p) ** k)
    assert abs(simple - (1 - (1 - p) ** k)) > 0.02


def combinations_of(n, k):
    return sum(1 for _ in combinations(range(n), k))


def test_pass_at_k_is_exact_for_many_candidates():
    assert pass_at_k(1000, 1, 1) == pytest.approx(0.001, rel=1e-9)
    assert pass_at_k(10_000, 5000, 100) == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 0), (4, 1, 5), (0, 0, 1)])
def test_pass_at_k_refuses_impossible_counts(n, c, k):
    with pytest.raises(ValueError, match="need 0 <= c <= n"):
        pass_at_k(n, c, k)


# --- choosing --------------------------------------------------------------------------------


def crowd(candidates_a_problem):
    """Kept candidates: {(family, problem): how many}."""
    return [
        {"id": f"{family}-{problem}/{number}",
         "problem": {"id": f"{family}-{problem}", "family": family}}
        for (family, problem), count in candidates_a_problem.items()
        for number in range(count)
    ]  # fmt: skip


kept_crowds = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9)), st.integers(1, 4), max_size=20
)


@given(kept_crowds, st.integers(0, 40), st.integers(0, 5))
def test_choose_takes_one_a_problem_before_a_second(counts, n, seed):
    chosen = choose(crowd(counts), n, seed)
    ids = [one["problem"]["id"] for one in chosen]
    assert len(chosen) == min(n, sum(counts.values()))
    assert len({one["id"] for one in chosen}) == len(chosen)
    assert len(set(ids)) == min(len(ids), len(counts))


@given(kept_crowds, st.integers(0, 40), st.integers(0, 5))
def test_choose_takes_the_families_evenly(counts, n, seed):
    first = [one for one in choose(crowd(counts), n, seed)][: len(counts)]
    taken = {f: sum(one["problem"]["family"] == f for one in first) for f, _ in counts}
    for family, number in taken.items():
        there = sum(f == family for f, _ in counts)
        assert number == there or number >= max(taken.values()) - 1


def test_a_family_with_a_larger_share_comes_more_often():
    everyone = crowd({(family, n): 1 for family in "abc" for n in range(60)})
    chosen = choose(everyone, 50, shares={"a": 3, "b": 1})
    assert Counter(one["problem"]["family"] for one in chosen) == {"a": 30, "b": 10, "c": 10}


@given(kept_crowds, st.integers(0, 5))
def test_choose_is_decided_by_the_seed(counts, seed):
    assert choose(crowd(counts), None, seed) == choose(crowd(counts), None, seed)


def test_another_seed_chooses_others():
    everyone = crowd({("a", n): 1 for n in range(20)})
    assert choose(everyone, 5, seed=0) != choose(everyone, 5, seed=1)


def test_choose_does_not_take_the_problems_in_their_order():
    everyone = crowd({("a", n): 1 for n in range(20)})
    assert choose(everyone) != everyone and len(choose(everyone)) == 20


# --- training data ---------------------------------------------------------------------------


def test_a_trace_is_a_zero_shot_prompt_and_the_completion():
    one = thought(GOOD, family="two-step")
    one["text"] = f"\n{one['text']} \n"
    assert to_traces([one]) == [
        {
            "id": one["id"],
            "prompt": messages("Solve for x: 3x + 5 = 20"),
            "completion": [{"role": "assistant", "content": one["text"].strip()}],
            "family": "two-step",
            "teacher": "test",
        }
    ]


def test_the_datasets_library_reads_traces():
    from datasets import Dataset

    problems = make_problems(8, NARROW)
    traces = to_traces([candidate(render_solution(p), p.equation) for p in problems])
    data = Dataset.from_list(traces)
    assert data.num_rows == 8
    assert {"prompt", "completion"} <= set(data.column_names)
    assert data[3]["prompt"] == traces[3]["prompt"]
    assert [turn["role"] for turn in data[3]["prompt"] + data[3]["completion"]] == [
        "system", "user", "assistant",
    ]  # fmt: skip


# --- the mix ---------------------------------------------------------------------------------

GENERAL = [{"id": f"general-{n}"} for n in range(100)]


@pytest.mark.parametrize(
    ("traces", "share", "general"),
    [(80, 0.2, 20), (160, 0.2, 40), (90, 0.1, 10), (50, 0.5, 50), (10, 0.0, 0), (0, 0.2, 0)],
)
def test_the_share_of_the_mix_is_exact(traces, share, general):
    mixed = mix([{"id": f"trace-{n}"} for n in range(traces)], GENERAL, share)
    assert sum(one["id"].startswith("general") for one in mixed) == general
    assert len(mixed) == traces + general
    assert len({one["id"] for one in mixed}) == len(mixed)


@given(st.integers(1, 80), st.floats(0, 0.5))
def test_the_share_is_as_near_as_whole_examples_allow(traces, share):
    mixed = mix([{"id": "trace"}] * traces, GENERAL, share)
    general = len(mixed) - traces
    off = [abs(n - share * (traces + n)) for n in (general - 1, general, general + 1) if n >= 0]
    assert abs(general - share * len(mixed)) == pytest.approx(min(off), abs=1e-9)


def test_the_mix_is_shuffled_by_the_seed():
    traces = [{"id": f"trace-{n}"} for n in range(40)]
    assert mix(traces, GENERAL, 0.2, seed=3) == mix(traces, GENERAL, 0.2, seed=3)
    assert mix(traces, GENERAL, 0.2, seed=3) != mix(traces, GENERAL, 0.2, seed=4)
    assert mix(traces, GENERAL, 0.2)[:40] != traces


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match="share must be"):
        mix([{"id": "trace"}], GENERAL, share)


def test_too_few_general_examples_are_named():
    with pytest.raises(ValueError, match="25 general examples are needed and there are 20"):
        mix([{"id": "trace"}] * 100, GENERAL[:20], 0.2)


def test_the_rules_come_in_the_order_of_the_lesson():
    assert RULES == (FINISHED, TEMPLATE, CORRECT, STEPS, ONE_LANGUAGE, SHORT, NO_REPETITION)


# --- the labelled set -----------------------------------------------------------------------------


def test_the_rules_on_the_labelled_set():
    """What is caught, what is let through, and the one kind that is known to slip through."""
    rows = read_jsonl(data_path("labelled_candidates.jsonl"))
    caught = Counter(row["origin"] for row in rows if any(judge(row).values()))
    total = Counter(row["origin"] for row in rows)
    assert len({row["id"] for row in rows}) == len(rows) == 448
    assert not any(name.startswith("harmless") for name in caught)
    assert {name for name in total if caught[name] == total[name]} == {
        "cut off", "Chinese in between", "long paragraph", "repetition", "a tag is lost",
        "right answer by a wrong step", "wrong answer after right steps",
        "goes on after the answer",
    }  # fmt: skip
    assert caught["Danish in between"] == 0  # Latin letters: the rule looks at scripts only
    real = [row for row in rows if row["origin"] == "real"]
    assert all(any(judge(row).values()) == bool(row["faults"]) for row in real)


@pytest.mark.parametrize(("have", "taken"), [(0, 0), (3, 3), (25, 25), (26, 25)])
def test_a_mix_may_take_fewer_general_examples_where_there_are_no_more(have, taken):
    mixed = mix([{"id": "trace"}] * 100, GENERAL[:have], 0.2, or_fewer=True)
    assert len(mixed) == 100 + taken


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        choose([], shares={"broad": 0})
