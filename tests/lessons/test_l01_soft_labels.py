"""Soft and hard labels: the digits experiment, intervals, figures, and the exercises' messages."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from distillkit.evaluation import statistics
from distillkit.lessons.l01_soft_labels import digits, figures
from distillkit.lessons.l01_soft_labels.checks import (
    balanced_loss,
    soft_loss,
    softened,
    top_k_loss,
)
from distillkit.lessons.l01_soft_labels.checks_bugs import mended_a, mended_b, mended_c
from distillkit.teaching.exercise import DONE, OPEN, WRONG

pytest.importorskip("sklearn", reason="the digits come with scikit-learn")


@pytest.fixture(scope="module")
def data():
    return digits.load_digits()


@pytest.fixture(scope="module")
def teacher(data):
    return digits.train_teacher(data, members=2, epochs=8)


@pytest.fixture(scope="module")
def pool_logits(data, teacher):
    return digits.ask(teacher, data.pool_BP)


# --- data, teacher, student ---------------------------------------------------------------------


def test_pool_and_test_set_share_no_digit_and_lose_none(data):
    from sklearn.datasets import load_digits

    pixels, truth = load_digits(return_X_y=True)
    assert (len(data.pool_BP), len(data.test_BP)) == (1197, 600)
    ours = torch.cat([data.pool_BP, data.test_BP]) * 16
    rows = sorted([*row, y] for row, y in zip(ours.tolist(), torch.cat(
        [data.pool_labels_B, data.test_labels_B]).tolist()))  # fmt: skip
    assert rows == sorted([*row, y] for row, y in zip(pixels.tolist(), truth.tolist()))
    assert ours.min() >= 0 and data.pool_BP.max() == 1
    assert not torch.equal(digits.load_digits(seed=1).test_BP, data.test_BP)


def test_without_scikit_learn_the_mend_is_named(monkeypatch):
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        digits.load_digits()


def test_the_digits_are_read_without_the_long_import():
    look = (
        "import sys; from distillkit.lessons.l01_soft_labels import digits; digits.load_digits();"
        "print('sklearn' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_the_learners_loss_teaches_the_student(data, pool_logits):
    seen = []

    def half(student_BC, teacher_BC, labels_B, alpha, temperature):
        seen.append((alpha, temperature))
        return 0.5 * F.cross_entropy(student_BC, labels_B)

    how = {"steps": 5, "loss": half, "n": 20, "alpha": 0.25, "temperature": 3.0}
    digits.student_errors(data, pool_logits, [0, 1], **how)
    assert seen == [(0.25, 3.0)] * 10
    places = digits.choose_digits(data, 20, 0)
    own = digits.train_student(data, pool_logits, places, 0.25, 3.0, 0, 5, half)
    kits = digits.train_student(data, pool_logits, places, 0.25, 3.0, 0, 5)
    assert not torch.equal(own[0].weight, kits[0].weight)


def test_the_rest_as_one_class_makes_top_k_a_divergence():
    numbers = torch.Generator().manual_seed(3)
    student, teacher = (2 * torch.randn(50, 5, generator=numbers) for _ in range(2))
    losses_ = [top_k_loss.reference(student, teacher, k).item() for k in (1, 2, 3, 4)]
    full = soft_loss.reference(student, teacher, 1.0).item()
    assert 0 < losses_[0] < losses_[1] < losses_[2] < losses_[3] == pytest.approx(full, rel=1e-5)


def test_the_terms_of_the_divergence_are_drawn_with_their_sum():
    figure, caption = figures.draw_kl_terms([0.8, 0.15, 0.05], [0.5, 0.4, 0.1], ["a", "b", "c"])
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    by_torch = F.kl_div(torch.tensor([0.5, 0.4, 0.1]).log(), torch.tensor([0.8, 0.15, 0.05]),
                        reduction="sum").item()  # fmt: skip
    assert sum(heights) == pytest.approx(by_torch, rel=1e-5)
    assert f"{by_torch:.3f}" in caption and "b -0.147" in caption


def test_pairs_are_drawn_with_their_differences():
    hard, soft = [10.0, 12.0, 11.0, 9.0], [8.0, 9.0, 12.0, 7.0]
    figure, caption = figures.draw_pairs(hard, soft, ("hard", "soft"))
    assert "in 3 of 4 pairs" in caption and "their mean -1.5" in caption
    joined = [list(line.get_ydata()) for line in figure.axes[0].lines[:4]]
    assert joined == [[b, t] for b, t in zip(hard, soft)]


def test_the_teacher_learns_is_in_evaluation_mode_and_leaves_the_generator_alone(data, teacher):
    assert not any(module.training for module in teacher.modules())
    wrong = digits.error_rate(digits.ask(teacher, data.test_BP), data.test_labels_B)
    assert wrong < 10, "a random guess makes 90 errors in 100"
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    again = digits.train_teacher(data, members=1, epochs=1, seed=5)
    assert torch.equal(torch.rand(1), expected)
    other = digits.train_teacher(data, members=1, epochs=1, seed=5)
    assert torch.equal(digits.ask(again, data.test_BP), digits.ask(other, data.test_BP))


def test_asking_switches_dropout_off_gives_no_gradient_and_puts_the_mode_back(data):
    net = torch.nn.Sequential(torch.nn.Linear(64, 10), torch.nn.Dropout(0.5)).train()
    first, second = (digits.ask(net, data.test_BP[:20]) for _ in range(2))
    assert torch.equal(first, second) and not first.requires_grad and net.training
    assert not digits.ask(net.eval(), data.test_BP[:2]).requires_grad and not net.training


def test_digits_are_drawn_by_seed_without_repeats_and_without_the_missing_class(data):
    places = digits.choose_digits(data, 300, seed=2, without=3)
    assert len(set(places.tolist())) == 300
    assert 3 not in data.pool_labels_B[places]
    assert torch.equal(places, digits.choose_digits(data, 300, seed=2, without=3))
    assert not torch.equal(places, digits.choose_digits(data, 300, seed=3, without=3))
    with pytest.raises(ValueError, match="the pool has 1197 such digits, not 1198"):
        digits.choose_digits(data, 1198, seed=0)


def test_the_ends_of_alpha_look_at_one_teacher_only(data, pool_logits):
    places = digits.choose_digits(data, 40, seed=0)
    other_logits = pool_logits.flip(-1)
    other_truth = dataclasses.replace(data, pool_labels_B=(data.pool_labels_B + 1) % 10)

    def answers(world, logits_BC, alpha):
        student = digits.train_student(world, logits_BC, places, alpha, 4.0, seed=0, steps=3)
        return digits.ask(student, data.test_BP)

    hard, soft = answers(data, pool_logits, 0.0), answers(data, pool_logits, 1.0)
    assert torch.equal(hard, answers(data, other_logits, 0.0))
    assert not torch.equal(hard, answers(other_truth, pool_logits, 0.0))
    assert torch.equal(soft, answers(other_truth, pool_logits, 1.0))
    assert not torch.equal(soft, answers(data, other_logits, 1.0))


def test_one_seed_gives_one_student_and_the_same_errors_again(data, pool_logits):
    first, second = digits.new_student(4), digits.new_student(4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    runs = [digits.student_errors(data, pool_logits, [0, 1], n=50) for _ in range(2)]
    assert runs[0] == runs[1] and all(0 < e < 60 for e in runs[0])
    assert runs[0] != digits.student_errors(data, pool_logits, [0, 1], n=50, alpha=0.0)


def test_a_new_pair_changes_with_the_seed():
    pairs = [digits.new_pair(seed, members=1, epochs=1) for seed in (0, 1, 1)]
    assert pairs[0] != pairs[1] == pairs[2]


def test_smoothed_labels_know_the_label_only():
    probabilities = digits.smoothed_labels(torch.tensor([2, 7])).softmax(-1)
    assert probabilities[0, 2].item() == pytest.approx(0.91)
    assert probabilities[1].sort().values[:9].tolist() == pytest.approx([0.01] * 9)


# --- the missing digit ----------------------------------------------------------------------------


def missing(spare, truth):
    logits = torch.tensor(spare)
    return digits.Missing(1, logits, torch.tensor(truth), logits, torch.tensor(truth))


def test_the_bias_is_the_smallest_that_makes_fewest_errors():
    # the 1s lose by 2 and by 2.9; a bias above 5 would cost the 0, which leads by 5
    seen = missing([[2.0, 0.0, 0.0], [0.0, 0.0, 2.9], [5.0, 0.0, 0.0]], [1, 1, 0])
    assert seen.found() == pytest.approx((0.0, 200 / 3))
    assert seen.best_bias() == 3.0
    assert seen.found(3.0) == pytest.approx((100.0, 0.0))
    assert seen.found(6.0) == pytest.approx((100.0, 100 / 3))
    assert seen.of_class(0, bias=6.0) == 0


def test_the_bias_is_not_chosen_on_the_test_set():
    seen = missing([[2.0, 0.0], [0.0, 3.0]], [1, 1])
    other = dataclasses.replace(seen, test_BC=seen.test_BC * 100)
    assert other.best_bias() == seen.best_bias()


def test_add_bias_changes_one_class_of_a_copy():
    logits = torch.zeros(2, 3)
    assert digits.add_bias(logits, 1, 2.0).tolist() == [[0, 2, 0]] * 2
    assert not logits.any()


def test_a_student_never_sees_the_missing_digit_and_the_spare_digits_are_unseen(data, pool_logits):
    seen = digits.miss_digit(data, pool_logits, seed=0, digit=5, n=200)
    assert len(seen.spare_labels_B) == len(data.pool_BP) - 200
    assert (seen.spare_labels_B == 5).sum() == (data.pool_labels_B == 5).sum()
    hard = digits.miss_digit(data, pool_logits, seed=0, digit=5, n=200, alpha=0.0)
    assert hard.found()[0] < 5, "no label ever said 5"


# --- seeds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom", [2, 3, 4, 9, 19, 200])
def test_t_quantile_against_scipy(freedom):
    stats = pytest.importorskip("scipy.stats")
    exact = stats.t.ppf(0.975, freedom)
    assert statistics.t_quantile(freedom) == pytest.approx(exact, rel=2e-3 if freedom > 2 else 9e-3)


def test_interval_of_a_worked_example():
    mean, low, high = statistics.interval([1.0, 2.0, 3.0, 4.0, 5.0])  # sd 1.5811, t(4) = 2.776
    assert (mean, low, high) == pytest.approx((3.0, 3 - 1.963, 3 + 1.963), abs=0.01)
    with pytest.raises(ValueError, match="three seeds"):
        statistics.interval([1.0, 2.0])


def test_pairs_remove_what_the_seeds_share():
    baseline, treatment = [10.0, 20.0, 30.0, 40.0], [9.0, 18.9, 29.1, 39.0]
    mean, low, high = statistics.paired(baseline, treatment)
    assert mean == pytest.approx(-1.0) and -1.3 < low < high < -0.7
    with pytest.raises(ValueError):
        statistics.paired([1.0] * 4, [1.0] * 3)


@pytest.mark.parametrize(
    ("treatment", "words"),
    [
        ([8.0, 18.1, 27.9, 38.0], "Soft gave 2.0 fewer errors in 100 digits than hard"),
        ([12.0, 22.1, 31.9, 42.0], "Soft gave 2.0 more errors in 100 digits than hard"),
        ([12.0, 18.0, 32.0, 38.0], "Between hard and soft no difference can be claimed: +0.0"),
    ],
)
def test_the_verdict_is_true_whichever_way_it_went(treatment, words):
    text = statistics.conclusion(("hard", "soft"), [10.0, 20.0, 30.0, 40.0], treatment)
    assert all(len(line) <= 88 for line in text.splitlines())
    text = " ".join(text.split())
    assert text.startswith(words) and "4 paired seeds" in text
    low, high = map(abs, statistics.paired([10.0, 20.0, 30.0, 40.0], treatment)[1:])
    assert f"{min(low, high):.1f}" in text and f"{max(low, high):.1f}" in text


def test_names_with_a_comma_can_be_told_apart():
    names, rows = ("good, all", "good, few"), ([1.0, 2.0, 3.0], [1.0, 2.0, 3.1])
    assert statistics.conclusion(names, *rows).startswith("Between 'good, all' and 'good, few' no")


def test_the_table_compares_with_its_baseline():
    rows = statistics.table({"hard": [3.0, 4.0, 5.0], "soft": [2.0, 3.0, 4.0]}, "hard").splitlines()
    assert "minus hard" in rows[0] and "(baseline)" in rows[1]
    assert "-1.0  (-1.0 to -1.0)" in rows[2]


# --- figures --------------------------------------------------------------------------------------

DIGITS = [str(d) for d in range(10)]


def check(drawn, *words):
    """Look for words in the caption; return the axes."""
    figure, caption = drawn
    assert caption.endswith(".") and "nan" not in caption
    for word in words:
        assert word in caption
    return figure.axes


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def means(axes):
    """Where the marks of the means with their intervals stand, one list a line."""
    return [list(bars.lines[0].get_ydata()) for bars in axes.containers]


@pytest.mark.parametrize("temperature", [0.25, 1.0, 16.0])
@pytest.mark.parametrize("rank", [0, 599])
def test_softened_labels_at_the_ends_of_the_controls(data, teacher, temperature, rank):
    logits_BC = digits.ask(teacher, data.test_BP)
    place = logits_BC.max(-1).values.argsort()[rank]
    drawn = figures.draw_softened(logits_BC[place], temperature, DIGITS, data.test_BP[place], "7")
    photo, axes = check(drawn, f"At T = {temperature:g} the teacher gives")
    plain_C, soft_C = ((logits_BC[place] / t).softmax(-1).tolist() for t in (1, temperature))
    shown = soft_C if temperature == 1 else plain_C + soft_C  # never two bars that are alike
    assert heights(axes) == pytest.approx([100 * p for p in shown], abs=1e-4)
    assert photo.get_xlabel() == "label: 7"
    assert photo.images[0].get_array().ravel().tolist() == data.test_BP[place].tolist()
    assert ("; at T = 1 " in drawn[1]) == (temperature != 1)


def test_the_caption_gives_the_numbers_drawn():
    drawn = figures.draw_softened(torch.tensor([0.80, 0.15, 0.05]).log(), 1.0, ["a", "b", "c"])
    (axes,) = check(drawn, "80 % to a and 15 % to b")
    assert [text.get_text() for text in axes.texts] == ["80", "15", "5"]


def test_without_the_square_the_gradient_shrinks(data, pool_logits):
    student = digits.ask(digits.new_student(0), data.pool_BP[:50])
    with_square, without = figures.gradient_sizes(student, pool_logits[:50], (8, 16, 32))
    assert without[0] / without[2] == pytest.approx(16, rel=0.3)
    assert max(with_square) / min(with_square) < 1.3
    (axes,) = check(figures.draw_gradient_sizes(student, pool_logits[:50], (8, 16, 32)),
                    "with T² it changes")  # fmt: skip
    assert [list(line.get_ydata()) for line in axes.lines] == [with_square, without]


def test_figures_of_the_experiments():
    hard, soft = [12.0, 11.0, 13.0, 12.5], [7.0, 6.0, 7.5, 6.5]
    (axes,) = check(figures.draw_ways({"hard": hard, "soft": soft}), "with soft (6.8 in 100)")
    assert means(axes) == [[12.125, 6.75]]
    seeds_drawn = [tuple(line.get_ydata()) for line in axes.lines[:4]]
    assert seeds_drawn == list(zip(hard, soft)), "a grey line a seed"
    check(figures.draw_ways({"hard": hard, "soft": [0.0] * 4}), "soft (0.0")
    sweep = {1: hard, 4: soft, 16: hard}
    drawn = figures.draw_sweep(sweep, "T", {"hard": hard, "x": soft}, log_axis=True)
    (axes,) = check(drawn, "T = 4 with 6.8")
    assert means(axes) == [[12.125, 6.75, 12.125]] and axes.get_xscale() == "log"
    levels = {line.get_label(): set(line.get_ydata()) for line in axes.lines[-2:]}
    assert levels == {"hard": {12.125}, "x": {6.75}}
    (axes,) = check(figures.draw_sweep({0.0: hard, 1.0: soft}, "alpha"), "alpha = 1")
    assert axes.get_xlabel() == "alpha" and axes.get_xscale() == "linear"
    curves = {"hard": {50: hard, 100: soft}, "soft": {50: soft, 100: soft}}
    (axes,) = check(figures.draw_curves(curves), "From 50 to 100 digits", "from 5.4 to 0.0")
    assert means(axes) == [[12.125, 6.75], [6.75, 6.75]]


@pytest.mark.parametrize("bias", [0.0, 20.0])
def test_missing_digit_at_the_ends_of_the_slider(data, pool_logits, bias):
    students = {
        way: digits.miss_digit(data, pool_logits, 0, n=60, alpha=alpha)
        for way, alpha in (("hard labels", 0.0), ("soft labels", 1.0))
    }
    found, errors = students["soft labels"].found(bias)
    words = f"soft labels, {found:.0f} % of them found and {errors:.1f} errors"
    (axes,) = check(figures.draw_missing(students, bias), f"With {bias:g} added", words)
    right = [seen.of_class(d, bias) for seen in students.values() for d in range(10)]
    assert heights(axes)[:20] == pytest.approx(right)


# --- exercises: a right attempt gets its tick, a wrong one the message that names its mistake -----


def log_q_p(s, t, T):
    return (s / T).log_softmax(-1), (t / T).softmax(-1)


def kl_div(s, t, T):
    return T * T * F.kl_div(*log_q_p(s, t, T), reduction="batchmean")


def balance(s, t, y, a, T):
    return a * kl_div(s, t.detach(), T) + (1 - a) * F.cross_entropy(s, y)


RIGHT = [
    (softened, [lambda z, T: F.softmax(z / T, dim=1), lambda z, T: (z / T).log_softmax(-1).exp()]),
    (balanced_loss, [balance]),
    (mended_a, [kl_div, lambda s, t, T: T**2 * F.kl_div(
        *log_q_p(s, t, T), reduction="none").sum(-1).mean()]),
    (mended_b, [kl_div]),
    (mended_c, [kl_div, lambda s, t, T: T**2 * F.kl_div((s / T).log_softmax(-1), (
        t / T).log_softmax(-1), reduction="batchmean", log_target=True)]),
]  # fmt: skip
RIGHT = [(exercise, attempt) for exercise, attempts in RIGHT for attempt in attempts]


@pytest.mark.parametrize(("exercise", "attempt"), RIGHT, ids=lambda x: getattr(x, "name", ""))
def test_a_right_attempt_gets_its_tick(exercise, attempt):
    outcome = exercise.judge(attempt)
    assert (outcome.kind, outcome.message) == (DONE, f"✓ {exercise.name}")
    assert exercise(attempt) is attempt
    assert exercise.judge(lambda *_: None).kind == OPEN


def typed(s, t, T, eps=0.0, clean=lambda x: x):
    p, q = (t / T).softmax(-1), (s / T).softmax(-1)
    return T**2 * clean(p * ((p + eps).log() - (q + eps).log())).sum(-1).mean()


WRONG_ATTEMPTS = [
    (softened, lambda z, T: F.softmax(z * T, dim=-1), "multiplies by the temperature"),
    (softened, lambda z, T: F.softmax(z, dim=-1), "not used"),
    (softened, lambda z, T: F.softmax(z, dim=-1) / T, "no longer add up to 1"),
    (softened, lambda z, T: F.softmax(F.softmax(z, -1) / T, -1), "softmax twice"),
    (softened, lambda z, T: F.softmax(z / T, dim=0), "runs over the examples"),
    (softened, lambda z, T: F.log_softmax(z / T, dim=-1), "log-probabilities"),
    (softened, lambda z, T: torch.exp(z / T) / torch.exp(z / T).sum(1, True), "inf / inf is NaN"),
    (balanced_loss, lambda s, t, y, a, T: balance(s, t, y, 1 - a, T), "changed places"),
    (balanced_loss, lambda s, t, y, a, T: a * kl_div(s, t, T) + F.cross_entropy(s, y),
     "hard loss always counts in full"),
    (balanced_loss, lambda s, t, y, a, T: kl_div(s, t, T) + (1 - a) * F.cross_entropy(s, y),
     "soft loss always counts in full"),
    (balanced_loss, lambda s, t, y, a, T: kl_div(s, t, T) + F.cross_entropy(s, y),
     "alpha is not used"),
    (balanced_loss, lambda s, t, y, a, T: a * kl_div(s, t, T)
     + (1 - a) * F.cross_entropy(s.softmax(-1), y), "does the softmax itself"),
    (balanced_loss, lambda s, t, y, a, T: a * kl_div(s, t, T) / T**2
     + (1 - a) * F.cross_entropy(s, y), "T² is missing"),
    (balanced_loss, lambda s, t, y, a, T: a * T**2 * kl_div(s, t, T)
     + (1 - a) * F.cross_entropy(s, y), "T² is there twice"),
    (balanced_loss, lambda s, t, y, a, T: T**2 * (
        a * kl_div(s, t, T) / T**2 + (1 - a) * F.cross_entropy(s, y)), "T² multiplies the hard"),
    (balanced_loss, lambda s, t, y, a, T: a * kl_div(s, t, T)
     + (1 - a) * F.cross_entropy(s / T, y), "hard loss is taken at temperature T"),
    (balanced_loss, lambda s, t, y, a, T: balance(s, t, t.argmax(-1), a, T), "true labels"),
    (mended_a, lambda s, t, T: T**2 * F.kl_div(*log_q_p(s, t, T), reduction="none").mean(),
     "by the number of classes"),
    (mended_a, lambda s, t, T: T**2 * F.kl_div(*log_q_p(s, t, T), reduction="sum"),
     "number of examples in the batch"),
    (mended_a, lambda s, t, T: kl_div(s, t, T) / T**2, "T² got lost"),
    (mended_a, lambda s, t, T: kl_div(t, s, T), "the student comes first"),
    (mended_b, lambda s, t, T: T**2 * F.kl_div(
        F.softmax(s / T, -1), F.softmax(t / T, -1), reduction="batchmean"), "still gets prob"),
    (mended_b, lambda s, t, T: T**2 * F.kl_div(F.log_softmax(s / T, -1), F.log_softmax(
        t / T, -1), reduction="batchmean"), "log_target=True"),
    (mended_b, lambda s, t, T: T**2 * F.kl_div(F.softmax(s / T, -1).log(), F.softmax(
        t / T, -1), reduction="batchmean"), "no probability rounds to 0"),
    (mended_b, lambda s, t, T: kl_div(t, s, T), "the student comes first"),
    (mended_b, lambda s, t, T: kl_div(s, t, T) / T**2, "T² got lost"),
    (mended_c, typed, "still NaN or infinite"),
    (mended_c, lambda s, t, T: T**2 * (F.softmax(t / T, -1) * (F.log_softmax(
        t / T, -1) - F.softmax(s / T, -1).log())).sum(-1).mean(), "still taken of a 0"),
    (mended_c, lambda s, t, T: typed(s, t, T, clean=torch.nan_to_num), "nan_to_num hides"),
    (mended_c, lambda s, t, T: typed(s, t, T, eps=1e-8), "a small number inside the log"),
    (mended_c, lambda s, t, T: T**2 * (F.softmax(t / T, -1) * (
        F.softmax(t / T, -1).clamp(min=1e-9).log()
        - F.softmax(s / T, -1).clamp(min=1e-9).log())).sum(-1).mean(), "a small number inside"),
    (mended_c, lambda s, t, T: kl_div(s, t, T) / T**2, "T² got lost"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("exercise", "attempt", "words"), WRONG_ATTEMPTS, ids=[w for _, _, w in WRONG_ATTEMPTS]
)
def test_each_mistake_gets_its_message(exercise, attempt, words):
    outcome = exercise.judge(attempt)
    assert outcome.kind == WRONG and words in outcome.message
    assert exercise(attempt) is exercise.reference


@pytest.mark.parametrize("exercise", [softened, balanced_loss, mended_a, mended_b, mended_c],
                         ids=lambda e: e.name)  # fmt: skip
def test_every_listed_mistake_is_told_apart_from_the_others(exercise):
    assert len({m.message for m in exercise.mistakes}) >= 3
    for mistake in exercise.mistakes:
        outcome = exercise.judge(mistake.function)
        assert outcome.kind == WRONG and mistake.message in outcome.message
