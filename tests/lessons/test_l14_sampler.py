"""Lesson 14: the diffusion model in a plane, DDIM, the halving, its controls and its measures."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Generator

from distillkit.lessons.l14_sampler import checks, figures, quality
from distillkit.lessons.l14_sampler import diffusion as kit


def numbers(seed=0):
    return Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def net():
    return kit.Denoiser(3)


@pytest.fixture(scope="module")
def cloud():
    return kit.draw_data(256, numbers(1))


def times(value, n=256):
    return torch.full((n, 1), value)


def test_data_lie_around_eight_modes_with_a_variance_of_about_one():
    x = kit.draw_data(8000, numbers())
    assert quality.modes(x)[0] == 8 and quality.modes(x)[1] > 0.98
    assert x.var(0).tolist() == pytest.approx([1.0, 1.0], abs=0.05)
    assert x.mean(0).tolist() == pytest.approx([0, 0], abs=0.05)


def test_the_net_guesses_a_point_and_the_noise_that_goes_with_it(net, cloud):
    alpha, sigma = kit.alpha_sigma(times(0.3))
    assert torch.allclose(alpha**2 + sigma**2, times(1.0))
    rebuilt = alpha * net(cloud, times(0.3)) + sigma * net.noise(cloud, times(0.3))
    assert torch.allclose(rebuilt, cloud, atol=1e-5)
    assert torch.allclose(net(cloud, times(0.0)), cloud), "at t = 0 nothing is to be guessed"


def test_ddim_with_the_true_point_goes_back_to_it(cloud):
    noise = torch.randn(256, 2, generator=numbers(2))
    path = kit.ddim(lambda z, t: cloud, noise, 4)
    assert len(path) == 5 and torch.allclose(path[-1], cloud, atol=1e-5)
    alpha, sigma = kit.alpha_sigma(times(0.5))
    assert torch.allclose(path[2], alpha * cloud + sigma * noise, atol=1e-5)


def test_ddim_reaches_the_exact_end_for_a_normal_distribution():
    """For data of N(0, s²) the best guess is known, and so is the path's end: s times the noise."""
    s = 0.3

    def best(z, t):
        alpha, sigma = kit.alpha_sigma(t)
        return alpha * s**2 / (alpha**2 * s**2 + sigma**2) * z

    z = torch.randn(64, 2, generator=numbers(3))
    errors = [(kit.ddim(best, z, n)[-1] - s * z).abs().max().item() for n in (8, 64, 512)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


@pytest.mark.parametrize(("i", "steps"), [(1, 1), (1, 32), (16, 32), (32, 32), (3, 8)])
def test_one_step_to_the_target_lands_where_two_of_the_teacher_land(net, cloud, i, steps):
    t, middle, end = (times((2 * i - k) / (2 * steps)) for k in (0, 1, 2))
    with torch.no_grad():
        x = kit.two_step_target(cloud, t, steps, net)
        one = kit.ddim_step(cloud, x, t, end)
        two = kit.ddim_step(cloud, net(cloud, t), t, middle)
        two = kit.ddim_step(two, net(two, middle), middle, end)
    assert torch.allclose(one, two, atol=1e-5)
    assert not torch.allclose(one, kit.ddim_step(cloud, net(cloud, t), t, end), atol=1e-3)


def test_the_weight_is_the_snr_but_at_least_one():
    x, target = torch.ones(2, 2), torch.zeros(2, 2)
    assert kit.weighted(x, target, times(1.0, 2)).item() == pytest.approx(2.0)
    assert kit.weighted(x, target, times(0.2, 2)).item() == pytest.approx(
        2 / math.tan(0.1 * math.pi) ** 2, rel=1e-5
    )


def test_a_rule_is_asked_on_the_students_grid_and_teaches_the_student_alone(net):
    student, asked = copy.deepcopy(net), []

    def rule(x, noise, t, steps, *models):
        asked.append((t * steps).round() / steps - t)
        return kit.halving_loss(x, noise, t, steps, *models)

    for choice in (rule, kit.wrong_loss):
        net.zero_grad(set_to_none=True)
        kit.of_pair(choice, student, net, 8)(numbers(4), 32).backward()
        assert all(p.grad is None for p in net.parameters())
        assert any(p.grad is not None and p.grad.any() for p in student.parameters())
    assert asked[0].abs().max() < 1e-6


@pytest.mark.parametrize(
    ("loss", "point", "target", "words"),
    [
        (True, True, False, "✓ mended_loss"),
        (True, False, False, "✓ mended_loss"),
        (False, True, False, "no gradient reaches student"),
        (True, True, True, "the gradient flows through the teacher's two steps, too"),
    ],
)
def test_the_mended_loss_teaches_the_student_alone(loss, point, target, words):
    """The first three say whether a part of it carries gradients."""

    def mended_loss(x, noise, t, steps, student, teacher):
        alpha, sigma = kit.alpha_sigma(t)
        with torch.set_grad_enabled(point and loss):
            z = alpha * x + sigma * noise
        with torch.set_grad_enabled(target and loss):
            there = kit.two_step_target(z, t, steps, teacher)
        return kit.weighted(student(z, t), there, t)

    attempt = mended_loss if loss else torch.no_grad()(mended_loss)
    assert words in checks.mended_loss.judge(attempt).message


def test_the_wrong_loss_does_not_know_the_number_of_steps(net, cloud):
    student, noise = kit.Denoiser(4), torch.randn(256, 2, generator=numbers(5))
    asked = (cloud, noise, times(0.5))
    wrong = [kit.wrong_loss(*asked, n, student, net).item() for n in (2, 32)]
    right = [kit.halving_loss(*asked, n, student, net).item() for n in (2, 32)]
    assert wrong[0] == wrong[1] and right[0] != right[1]
    perfect = kit.wrong_loss(*asked, 2, net, net).item()
    assert perfect > 1e-3, "a student equal to its teacher has a loss"


def test_training_lowers_the_loss_halving_goes_down_to_one_and_stops_when_asked():
    teacher, rows = kit.Denoiser(0), []
    losses = kit.train(teacher, kit.diffusion_loss(teacher), 60, 128, 5e-3, on_step=rows.append)
    assert losses[-1] < 0.9 * losses[0] and rows[-1]["step"] == 60
    before = copy.deepcopy(teacher.state_dict())
    students = kit.halve(teacher, 1, 16)
    assert [*students] == [64, 32, 16, 8, 4, 2, 1] and students[64] is teacher
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())

    def stop(row):
        raise KeyboardInterrupt

    assert len(kit.train(teacher, kit.diffusion_loss(teacher), 30, 8, on_step=stop)) == 1


def test_a_training_that_is_stopped_early_keeps_its_last_loss(net):
    student, steps = copy.deepcopy(net), []

    def stops(numbers, batch):
        steps.append(1)
        if len(steps) > 3:
            raise KeyboardInterrupt
        return kit.diffusion_loss(student)(numbers, batch)

    assert len(kit.train(student, stops, 30, 8)) == 1


def test_one_stop_ends_all_halvings_and_what_was_learned_stays(net):
    asked = []

    def rule(x, noise, t, steps, *models):
        asked.append(steps)
        if asked.count(16) > 1:
            raise KeyboardInterrupt
        return kit.halving_loss(x, noise, t, steps, *models)

    students = kit.halve(net, 3, 8, rule=rule)
    assert [*students] == [64, 32, 16, 8, 4, 2, 1] and asked == [32] * 3 + [16] * 2
    first = {steps: next(m.parameters()) for steps, m in students.items()}
    assert not torch.equal(first[64], first[32]) and not torch.equal(first[32], first[16])
    assert all(torch.equal(first[16], first[steps]) for steps in (8, 4, 2, 1))


def test_the_slow_copy_follows_and_a_consistent_student_is_shown_one_point_twice():
    teacher = kit.Denoiser(0)
    student, slow = copy.deepcopy(teacher), copy.deepcopy(teacher)
    loss = kit.consistency_loss(student, slow, teacher)
    kit.train(student, loss, 3, 32, seed=1, slow=slow)
    first, now, past = (next(m.parameters()) for m in (teacher, student, slow))
    assert 0 < (past - first).abs().max() < (now - first).abs().max()
    z = torch.randn(64, 2, generator=numbers(6))
    with torch.no_grad():
        one = kit.consistent(student, z, 1, numbers(7))
        assert torch.allclose(one, student(z, times(1.0, 64)), atol=1e-6)
    assert not torch.allclose(kit.consistent(student, z, 2, numbers(7)), one)


def test_distances_are_those_of_known_clouds():
    x = torch.randn(500, 2, generator=numbers(8))
    apart = x + torch.tensor([3.0, 0.0])
    # seen from the angle a, the shift is 3 |cos a|, whose mean is 6/π
    assert quality.sliced_wasserstein(x, apart) == pytest.approx(6 / math.pi, rel=1e-3)
    assert quality.sliced_wasserstein(x, x.flip(0)) == 0
    y = torch.randn(500, 2, generator=numbers(9))
    assert abs(quality.energy_distance(x, y)) < 0.02 < quality.energy_distance(x, 1.3 * y)
    brute = sum(2 * (a - b).norm() for a in x[:9] for b in y[:9]) / 81
    for part in (x[:9], y[:9]):
        brute -= sum((a - b).norm() for a in part for b in part) / 72
    assert quality.energy_distance(x[:9], y[:9]) == pytest.approx(brute.item(), rel=1e-4)


def test_a_mode_counts_with_half_its_share():
    centres = kit.centres()
    assert quality.modes(centres.repeat(10, 1)) == (8, 1.0)
    covered, near = quality.modes(torch.cat([centres[:1].repeat(76, 1), centres[1:5]]))
    assert (covered, near) == (1, 1.0)
    assert quality.modes(torch.zeros(10, 2)) == (0, 0.0)


def test_figures_say_what_they_show(cloud):
    noise = torch.randn(256, 2, generator=numbers(10))
    figure, words = figures.draw_noising(cloud, noise, (0.0, 1.0))
    assert len(figure.axes) == 2 and "t = 0: 1.00 of the point and 0.00 of the noise" in words
    figure, words = figures.draw_sampler([noise, cloud], cloud, lines=7)
    assert len(figure.axes[0].lines) == 9 and words.startswith("1 step: Wasserstein distance 0.000")
    figure, words = figures.draw_clouds({"a": cloud, "b": noise}, cloud)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"] and "a 0.00" in words
    ways = {"x": {1: [0.2, 0.3, 0.4], 64: [0.1] * 3}, "y": {2: [0.5] * 3}}
    figure, words = figures.draw_quality(ways, [0.05])
    assert words.startswith("With one step: x 0.300.") and words.endswith("differ by 0.050.")
    ways["z"] = {1: [4000.0] * 3, 2: [0.4] * 3}
    figure, words = figures.draw_quality(ways, [0.05])
    assert figure.axes[0].get_ylim()[1] == figures.TOP and words.endswith("are not shown.")
