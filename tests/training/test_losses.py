"""The losses against independent computations, and the same checks against wrong losses."""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from distillkit.training import losses as kit

INF = float("inf")


def some_logits(seed, n=5, v=7, size=2.0):
    return torch.randn(n, v, generator=torch.Generator().manual_seed(seed)) * size


def reference_kl(p, q):
    """KL(p ‖ q) of probabilities: sum p log(p / q), where 0 log 0 is 0."""
    return (p * np.log(np.where(p > 0, p / q, 1.0))).sum(-1)


def probabilities(logits, temperature=1.0):
    """The softmax in float64 and not in log-space."""
    p = np.exp(np.asarray(logits, dtype=np.float64) / temperature)
    return p / p.sum(-1, keepdims=True)


def reference_soft_loss(student, teacher, temperature):
    p, q = (probabilities(logits, temperature) for logits in (teacher, student))
    return temperature**2 * reference_kl(p, q).mean()


def reference_jsd(student, teacher, temperature, beta):
    p, q = (probabilities(logits, temperature) for logits in (teacher, student))
    m = beta * p + (1 - beta) * q
    return beta * reference_kl(p, m) + (1 - beta) * reference_kl(q, m)


def slopes(function, at, h=1e-5):
    """The gradient of a function of an array by central differences, in float64."""
    found = np.zeros(at.shape)
    for place in np.ndindex(*at.shape):
        up, down = (at.double().numpy().copy() for _ in range(2))
        up[place] += h
        down[place] -= h
        found[place] = (function(up) - function(down)) / (2 * h)
    return found


def gradient(loss, at):
    at = at.clone().requires_grad_()
    loss(at).backward()
    return at.grad


# --- the specification: each check takes the module that is to obey it --------------------------


def check_soft_value(losses):
    for temperature in (0.5, 1.0, 2.0, 7.0):
        student, teacher = some_logits(1), some_logits(2)
        expected = reference_soft_loss(student, teacher, temperature)
        assert losses.soft_loss(student, teacher, temperature).item() == pytest.approx(
            expected, rel=1e-5
        )


def check_soft_gradient(losses):
    student, teacher = some_logits(1, n=2, v=4), some_logits(2, n=2, v=4)
    got = gradient(lambda z: losses.soft_loss(z, teacher, 3.0), student)
    expected = slopes(lambda z: reference_soft_loss(z, teacher, 3.0), student)
    assert got.numpy() == pytest.approx(expected, abs=1e-5)


def check_direction(losses):
    """KL(teacher ‖ student) punishes a student that misses one of the teacher's two answers."""
    both, one = torch.tensor([[4.0, 4.0, -4.0]]), torch.tensor([[4.0, -4.0, -4.0]])
    misses = losses.soft_loss(one, both).item()
    adds = losses.soft_loss(both, one).item()
    assert misses > 4 * adds > 0


def check_gradient_keeps_its_size(losses):
    def size(temperature):
        return gradient(
            lambda z: losses.soft_loss(z, some_logits(2), temperature), some_logits(1)
        ).norm()

    assert (size(100.0) / size(10.0)).item() == pytest.approx(1.0, abs=0.15)


def check_same_logits_cost_nothing(losses):
    student = some_logits(3)
    assert losses.soft_loss(student, student.clone(), 2.0).item() == pytest.approx(0.0, abs=1e-6)
    assert losses.soft_loss(student, some_logits(4), 2.0).item() > 0.1


def check_teacher_gets_no_gradient(losses):
    student, teacher = some_logits(1).requires_grad_(), some_logits(2).requires_grad_()
    losses.soft_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None and student.grad.abs().sum() > 0


def check_huge_logits(losses):
    student = torch.tensor([[1e4, 0.0, -1e4]])
    got = gradient(lambda z: losses.soft_loss(z, -student), student)
    assert torch.isfinite(got).all()
    assert math.isfinite(losses.soft_loss(student, -student).item())


def check_ruled_out_tokens(losses):
    """A token with the teacher's logit -inf drops out: p log p is 0 there."""
    student, teacher = some_logits(1), some_logits(2)
    teacher[:, 3] = -INF
    p = np.exp(np.asarray(teacher, dtype=np.float64))
    p /= p.sum(-1, keepdims=True)
    log_q = np.asarray(student.double().log_softmax(-1))
    expected = np.where(p > 0, p * (np.log(np.where(p > 0, p, 1)) - log_q), 0).sum(-1).mean()
    assert losses.soft_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    got = gradient(lambda z: losses.soft_loss(z, teacher), student)
    assert torch.isfinite(got).all()


def check_hard_value(losses):
    """Against the definition, written out: -log(exp z_label / sum exp z), mean over what counts."""
    logits, labels = some_logits(5), torch.tensor([2, -100, 0, 6, -100])
    costs = []
    for row, label in zip(logits.tolist(), labels.tolist()):
        if label != -100:
            costs.append(-math.log(math.exp(row[label]) / sum(math.exp(z) for z in row)))
    assert losses.cross_entropy(logits, labels).item() == pytest.approx(sum(costs) / len(costs))


def check_hard_equals_torch(losses):
    logits, labels = some_logits(6, n=9), torch.tensor([0, 1, -100, 3, 4, -100, 6, 0, 1])
    expected = functional.cross_entropy(logits, labels, ignore_index=-100).item()
    assert losses.cross_entropy(logits, labels).item() == pytest.approx(expected)
    got = gradient(lambda z: losses.cross_entropy(z, labels), logits)
    want = gradient(lambda z: functional.cross_entropy(z, labels, ignore_index=-100), logits)
    torch.testing.assert_close(got, want)


def check_hard_gradient(losses):
    """Weighted positions, of which a few are computed at once."""
    logits = torch.randn(7, 11, generator=torch.Generator().manual_seed(0)) * 3
    labels, weights = torch.arange(7), torch.linspace(0.2, 2, 7)
    for kind, exact in ((torch.float32, 1e-6), (torch.bfloat16, 4e-3)):
        ours, torchs = (logits.to(kind).clone().requires_grad_() for _ in range(2))
        with patch.object(losses, "AT_ONCE", 3 * 11):  # three positions of eleven tokens
            (weights * losses.negative_log_likelihood(ours, labels)).sum().backward()
        (weights * functional.cross_entropy(torchs.float(), labels, reduction="none")
         ).sum().backward()  # fmt: skip
        assert ours.grad.dtype == kind
        torch.testing.assert_close(ours.grad, torchs.grad, rtol=exact, atol=exact)


def check_hard_huge_logits(losses):
    logits, labels = torch.tensor([[1e4, 0.0, -1e4]]), torch.tensor([1])
    assert losses.cross_entropy(logits, labels).item() == pytest.approx(1e4)


def check_mixture(losses):
    student, teacher, labels = some_logits(1), some_logits(2), torch.tensor([0, 1, 2, 3, 4])
    soft = reference_soft_loss(student, teacher, 3.0)
    hard = functional.cross_entropy(student, labels).item()
    for alpha in (0.0, 0.3, 1.0):
        got = losses.distillation_loss(student, teacher, labels, alpha, 3.0).item()
        assert got == pytest.approx(alpha * soft + (1 - alpha) * hard, rel=1e-5)


def check_divergence_values(losses):
    for temperature in (0.5, 1.0, 3.0):
        student, teacher = some_logits(1), some_logits(2)
        q, p = probabilities(student, temperature), probabilities(teacher, temperature)
        forward = losses.forward_kl(student, teacher, temperature)
        reverse = losses.reverse_kl(student, teacher, temperature)
        assert forward.shape == reverse.shape == (5,)  # one number a position
        assert forward.numpy() == pytest.approx(reference_kl(p, q), rel=1e-4)
        assert reverse.numpy() == pytest.approx(reference_kl(q, p), rel=1e-4)
        for beta in (0.1, 0.5, 0.7):
            got = losses.jsd(student, teacher, temperature, beta).numpy()
            expected = reference_jsd(student, teacher, temperature, beta)
            assert got == pytest.approx(expected, rel=1e-4)


def check_divergence_gradients(losses):
    student, teacher = some_logits(1, n=2, v=4), some_logits(2, n=2, v=4)
    p = probabilities(teacher, 3.0)
    for divergence, reference in (
        (losses.forward_kl, lambda z: reference_kl(p, probabilities(z, 3.0)).sum()),
        (losses.reverse_kl, lambda z: reference_kl(probabilities(z, 3.0), p).sum()),
        (losses.jsd, lambda z: reference_jsd(z, teacher, 3.0, 0.5).sum()),
    ):
        got = gradient(lambda z, d=divergence: d(z, teacher, 3.0).sum(), student)
        assert got.numpy() == pytest.approx(slopes(reference, student), abs=1e-5)


def check_jsd_tends_to_the_kls(losses):
    student, teacher = some_logits(1, size=1.0), some_logits(2, size=1.0)
    forward = losses.forward_kl(student, teacher).numpy()
    reverse = losses.reverse_kl(student, teacher).numpy()
    assert losses.jsd(student, teacher, 1.0, 1e-3).numpy() / 1e-3 == pytest.approx(
        forward, rel=0.02
    )
    assert losses.jsd(student, teacher, 1.0, 0.999).numpy() / 1e-3 == pytest.approx(
        reverse, rel=0.02
    )


def check_tokens_that_both_rule_out(losses):
    """They drop out of each divergence, and of its gradient."""
    student, teacher = some_logits(1), some_logits(2)
    student[:, 3] = teacher[:, 3] = -INF
    rest = [0, 1, 2, 4, 5, 6]
    for divergence in (losses.forward_kl, losses.reverse_kl, losses.jsd):
        got = divergence(student, teacher)
        torch.testing.assert_close(got, divergence(student[:, rest], teacher[:, rest]))
        slope = gradient(lambda z, d=divergence: d(z, teacher).sum(), student)
        assert torch.isfinite(slope).all() and (slope[:, 3] == 0).all()


def check_divergences_leave_the_teacher_alone(losses):
    for divergence in (losses.forward_kl, losses.reverse_kl, losses.jsd):
        student, teacher = some_logits(1).requires_grad_(), some_logits(2).requires_grad_()
        divergence(student, teacher).sum().backward()
        assert teacher.grad is None and student.grad.abs().sum() > 0


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items())
          if name.startswith("check_")}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_the_losses_obey(name):
    CHECKS[name](kit)


# --- wrong losses that people have written: every one must fail a check that names its fault ----

MUTANTS = {
    "reversed KL": ("_kl(teacher, student)", "_kl(student, teacher)", "direction"),
    "no T²": ("temperature**2 * ", "", "gradient_keeps_its_size"),
    "T instead of T²": ("temperature**2", "temperature", "gradient_keeps_its_size"),
    "T² also for the teacher's logits": (
        "teacher_NV[..., :v].detach().float() / temperature",
        "teacher_NV[..., :v].detach().float() / temperature**2", "soft_value"),
    "teacher not softened": (
        "(teacher_NV[..., :v].detach().float() / temperature)",
        "teacher_NV[..., :v].detach().float()", "soft_value"),
    "probabilities for log-probabilities": (
        "log_softmax(-1)\n    return", "softmax(-1)\n    return", "soft_value"),
    "log of softmax": (".log_softmax(-1)", ".softmax(-1).log()", "huge_logits"),
    "log of softmax, hard": (
        "part_NV.float().logsumexp(-1)", "part_NV.float().exp().sum(-1).log()",
        "hard_huge_logits"),
    "hard gradient without the label": (
        "probs_NV.scatter_add_(-1", "probs_NV.scatter_add(-1", "hard_gradient"),
    "hard gradient that forgets the weights": (
        "probs_NV.mul_(grad[:, None])", "probs_NV", "hard_gradient"),
    "hard gradient of the first positions only": (
        "grad_NV.split(ctx.rows), *saved", "grad_NV[: ctx.rows].split(ctx.rows), *saved",
        "hard_gradient"),
    "sum over positions": ("temperature).mean()", "temperature).sum()", "soft_value"),
    "mean over the vocabulary too": ("gap_NV).sum(-1)", "gap_NV).mean(-1)", "soft_value"),
    "teacher's logits used twice": ("(student_NV[", "(teacher_NV[", "soft_value"),
    "student's logits used twice": ("(teacher_NV[", "(student_NV[", "same_logits_cost_nothing"),
    "gradient into the teacher": (".detach()", "", "teacher_gets_no_gradient"),
    "no gradient for the student": (
        "student_NV[..., :v].float()", "student_NV[..., :v].detach().float()", "soft_gradient"),
    "0 · log 0 is NaN": (".masked_fill(p_NV.isneginf(), 0.0)", "", "ruled_out_tokens"),
    "sign of the hard loss": ("return total_N - logits_NV", "return -total_N + logits_NV",
                              "hard_value"),
    "prompt counted in the mean": (
        "labels_N).mean()", "labels_N).sum() / len(kept_N)", "hard_value"),
    "prompt tokens in the loss": (
        "labels_N != IGNORE", "labels_N == labels_N.clamp_(0)", "hard_equals_torch"),
    "sum of the hard loss": ("labels_N).mean()", "labels_N).sum()", "hard_equals_torch"),
    "alpha the wrong way round": (
        "alpha * soft + (1 - alpha) *", "(1 - alpha) * soft + alpha *", "mixture"),
    "forward KL in the name of reverse": (
        "return _kl(student, teacher)", "return _kl(teacher, student)", "divergence_values"),
    "reverse KL in the name of forward": (
        "return _kl(teacher, student)", "return _kl(student, teacher)", "divergence_values"),
    "p where log p is": ("p_NV.exp() * gap_NV", "p_NV * gap_NV", "divergence_values"),
    "T for the student only": (
        "(teacher_NV[..., :v].detach().float() / temperature)",
        "teacher_NV[..., :v].detach().float()", "divergence_gradients"),
    "mean of positions in a KL": ("gap_NV).sum(-1)", "gap_NV).sum(-1).mean()",
                                  "divergence_values"),
    "JSD mixed the wrong way round": (
        "teacher + math.log(beta), student + math.log(1 - beta)",
        "teacher + math.log(1 - beta), student + math.log(beta)", "divergence_values"),
    "JSD weighed the wrong way round": (
        "beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)",
        "(1 - beta) * _kl(teacher, mixture) + beta * _kl(student, mixture)",
        "jsd_tends_to_the_kls"),
    "JSD with a mean of logarithms": (
        "torch.logaddexp(teacher + math.log(beta), student + math.log(1 - beta))",
        "beta * teacher + (1 - beta) * student", "divergence_values"),
    "JSD that is its KLs' sum": ("_kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)",
                                 "_kl(teacher, student) + (1 - beta) * _kl(student, teacher)",
                                 "divergence_values"),
    "JSD without a gradient through the mixture": (
        "* _kl(student, mixture)", "* _kl(student, mixture.detach())", "divergence_gradients"),
    "-inf in a mixture": (".clamp(min=lowest)", "", "tokens_that_both_rule_out"),
    "gradient into the teacher of a divergence": (
        ".detach()", "", "divergences_leave_the_teacher_alone"),
    "hard loss at the temperature": (
        "cross_entropy(student_BC,", "cross_entropy(student_BC / temperature,", "mixture"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_loss_is_noticed(mutant, name):
    old, new, check = MUTANTS[name]
    wrong = mutant(kit, old, new)
    with pytest.raises((AssertionError, RuntimeError)):  # RuntimeError: nothing has a gradient
        CHECKS[check](wrong)


def test_every_check_of_the_losses_notices_a_mutant(mutant):
    def passes(check, wrong):
        try:
            check(wrong)
        except (AssertionError, RuntimeError):
            return False
        return True

    wrong = [mutant(kit, old, new) for old, new, _ in MUTANTS.values()]
    idle = [name for name, check in CHECKS.items() if all(passes(check, w) for w in wrong)]
    assert not idle


# --- what holds for any two distributions ---------------------------------------------------------

LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=4, max_size=4).map(
    lambda row: torch.tensor([row])
)


@given(LOGITS, LOGITS, st.floats(0.5, 8), st.floats(0.05, 0.95))
def test_a_divergence_is_never_below_zero_and_jsd_is_bounded(student, teacher, temperature, beta):
    for divergence in (kit.forward_kl, kit.reverse_kl):
        assert divergence(student, teacher, temperature).item() >= -1e-5
        assert divergence(student, student, temperature).item() == pytest.approx(0, abs=1e-6)
    got = kit.jsd(student, teacher, temperature, beta).item()
    entropy = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
    assert -1e-5 <= got <= entropy + 1e-5
    swapped = kit.jsd(teacher, student, temperature, 1 - beta).item()
    assert got == pytest.approx(swapped, abs=1e-5)


@given(LOGITS, LOGITS, st.floats(-50, 50, width=32))
def test_only_differences_of_logits_count(student, teacher, shift):
    for divergence in (kit.forward_kl, kit.reverse_kl, kit.jsd):
        expected = divergence(student, teacher).item()
        assert divergence(student + shift, teacher).item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("beta", [0.0, 1.0, -0.5, math.nan])
def test_at_its_ends_jsd_is_refused_and_not_swapped_for_a_kl(beta):
    """In between it shrinks to nothing, so that code which returns the KL there jumps."""
    near = kit.jsd(some_logits(1), some_logits(2), 1.0, 0.01).mean().item()
    assert near < 0.05 * kit.forward_kl(some_logits(1), some_logits(2)).mean().item()
    with pytest.raises(ValueError, match="beta"):
        kit.jsd(some_logits(1), some_logits(2), 1.0, beta)


# --- edges ---------------------------------------------------------------------------------------


def test_a_vocabulary_of_another_size_counts_as_far_as_both_go():
    student, teacher = some_logits(1, v=7), some_logits(2, v=5)
    expected = reference_soft_loss(student[:, :5], teacher, 2.0)
    assert kit.soft_loss(student, teacher, 2.0).item() == pytest.approx(expected, rel=1e-5)
    assert kit.soft_loss(teacher, student, 2.0).item() == pytest.approx(
        reference_soft_loss(teacher, student[:, :5], 2.0), rel=1e-5
    )


def test_padding_columns_get_no_gradient():
    got = gradient(lambda z: kit.soft_loss(z, some_logits(2, v=5)), some_logits(1, v=7))
    assert (got[:, 5:] == 0).all() and (got[:, :5] != 0).any()


def test_a_token_that_both_rule_out_costs_nothing():
    student, teacher = some_logits(1), some_logits(2)
    without = [torch.cat([z[:, :3], z[:, 4:]], -1) for z in (student, teacher)]
    student[:, 3] = teacher[:, 3] = -INF
    assert kit.soft_loss(student, teacher).item() == pytest.approx(
        kit.soft_loss(*without).item(), rel=1e-6
    )


def test_a_student_that_rules_out_what_the_teacher_says_costs_infinitely_much():
    assert kit.soft_loss(torch.tensor([[0.0, -INF]]), torch.zeros(1, 2)).item() == INF


def test_half_precision_logits_are_computed_in_full():
    student, teacher = some_logits(1).bfloat16(), some_logits(2).bfloat16()
    expected = reference_soft_loss(student.float(), teacher.float(), 2.0)
    got = kit.soft_loss(student, teacher, 2.0)
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(expected, rel=1e-5)


def test_positions_may_have_batch_and_length():
    student, teacher = some_logits(1, n=6), some_logits(2, n=6)
    got = kit.soft_loss(student.view(2, 3, 7), teacher.view(2, 3, 7), 2.0)
    assert got.item() == pytest.approx(reference_soft_loss(student, teacher, 2.0), rel=1e-5)


def test_only_ignored_labels_are_an_error_and_not_nan():
    with pytest.raises(ValueError, match="-100"):
        kit.cross_entropy(some_logits(1, n=2), torch.tensor([-100, -100]))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("loss", [kit.soft_loss, kit.forward_kl, kit.reverse_kl, kit.jsd])
def test_temperature_must_be_finite_and_above_zero(loss, temperature):
    with pytest.raises(ValueError, match="temperature"):
        loss(some_logits(1), some_logits(2), temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_alpha_must_be_a_share(alpha):
    with pytest.raises(ValueError, match="alpha"):
        kit.distillation_loss(some_logits(1), some_logits(2), torch.zeros(5).long(), alpha)
