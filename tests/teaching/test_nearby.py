"""What, done otherwise in a right function, gives what a wrong one gives."""

import time
import warnings

import pytest
import torch
from torch.overrides import _len_torch_function_stack

from distillkit.teaching.compare import same
from distillkit.teaching.nearby import nearby


def weighted(x_BC, y_BC, alpha, steps):
    """A formula with most of what an exercise has: axes, shares, slices, a helper."""
    gap_B1 = (x_BC - y_BC).exp().sum(-1, keepdim=True)
    return alpha * gap_B1 + (1 - alpha) * shifted(x_BC) / steps


def shifted(x_BC):
    return torch.cat([x_BC[:, 1:], x_BC[:, :1]], -1)


def inputs():
    numbers = torch.Generator().manual_seed(0)
    pairs = [[torch.randn(n, n, generator=numbers) for _ in "xy"] for n in (3, 4)]
    return [(*pair, share, n) for pair, share, n in zip(pairs, (0.3, 0.8), (2, 5), strict=True)]


def say(wrong, right=weighted, given=None, **more):
    given = given or inputs()
    names = right.__code__.co_varnames[: right.__code__.co_argcount]
    gots = [wrong(*arguments) for arguments in given]
    return nearby(right, names, given, gots, lambda a, b: same(a, b, 1e-4, 1e-6), **more)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda x, y, a, n: weighted(y, x, a, n), "x_BC and y_BC change places"),
        (
            lambda x, y, a, n: weighted(x, y, a, 1),
            "what is computed from x_BC and alpha is not divided by steps",
        ),
        (
            lambda x, y, a, n: a * (x + y).exp().sum(-1, keepdim=True) + (1 - a) * shifted(x) / n,
            "y_BC is added to x_BC, not subtracted",
        ),
        (
            lambda x, y, a, n: a * (x - y).sum(-1, keepdim=True) + (1 - a) * shifted(x) / n,
            "exp of what is computed from x_BC and y_BC is missing",
        ),
        (
            lambda x, y, a, n: a * (x - y).exp().mean(-1, keepdim=True) + (1 - a) * shifted(x) / n,
            "mean of what is computed from x_BC and y_BC is taken, not sum",
        ),
        (
            lambda x, y, a, n: a * (x - y).exp().sum(0, keepdim=True) + (1 - a) * shifted(x) / n,
            "sum of what is computed from x_BC and y_BC runs along axis 0",
        ),
        (
            lambda x, y, a, n: a * (x - y).exp().sum(-1, keepdim=True) + (1 + a) * shifted(x) / n,
            "alpha is added to 1, not subtracted",
        ),
    ],
)
def test_the_change_is_said(wrong, words):
    assert words in say(wrong)


def test_nothing_is_said_of_what_is_wrong_in_two_ways_or_nowhere_near():
    assert say(lambda x, y, a, n: weighted(y, x + 1, 2 * a, n)) == ""
    assert say(lambda x, y, a, n: x.sum() - 7) == ""


def test_what_a_function_that_is_an_argument_does_is_not_done_otherwise():
    def right(x, teacher):
        return teacher(x) - x

    given = [(torch.tensor([n, 1.0]), lambda x: 3 * x + 2) for n in (2.0, 3.0)]
    said = say(lambda x, teacher: teacher(x) + x, right, given)
    assert "x is added to what is computed from x" in said
    assert say(lambda x, teacher: (3 * x - 2) - x, right, given) == ""


def test_an_operand_has_a_name_only_if_it_is_the_same_on_every_input():
    def right(gained, lost):
        return 10 * min(gained, lost) + 3

    given = [(1, 2), (5, 4)]
    said = say(lambda a, b: 10 + min(a, b) + 3, right, given)
    assert said == "it is what comes out if 10 and another value are added, not multiplied"


def test_numbers_in_lists_and_generators_are_followed():
    def right(parts):
        yield sum(n // block * size for n, block, size in parts)

    given = [([(64, 32, 34)],), ([(96, 32, 18), (64, 32, 34)],)]
    said = say(lambda parts: [sum(n * block * size for n, block, size in parts)], right, given)
    assert "is multiplied by what else is computed from parts, not divided" in said


def test_a_search_leaves_nothing_behind_and_says_nothing_itself(capsys):
    def right(x_N):
        warnings.warn("of the kit", stacklevel=1)
        print("of the kit")
        return x_N * torch.rand(3)

    given = [(torch.ones(3),), (torch.arange(3.0),)]
    state = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert say(lambda x: x + 7, right, given) == ""
    assert not caught and capsys.readouterr().out == ""
    assert torch.equal(torch.get_rng_state(), state)
    assert not _len_torch_function_stack()


def test_nothing_is_searched_for_a_bare_object():
    """No two of them are alike, so that every change would be tried in vain."""
    calls = []

    def right(x):
        calls.append(x)
        return x + 1

    assert say(lambda x: object(), right, [(torch.zeros(1),)]) == "" and len(calls) == 0
    assert say(lambda x: x - 1, right, [(torch.zeros(1),)]) != "" and len(calls) > 1


def test_a_search_ends_even_if_a_change_makes_a_loop_endless():
    def right(n):
        rounds = 0
        while n > 0:
            n, rounds = n - 1, rounds + 1
        return rounds

    began = time.perf_counter()
    say(lambda n: n + 100, right, [(5,), (7,)], seconds=0.4)
    assert time.perf_counter() - began < 20


def test_a_search_that_is_stopped_leaves_gradients_on():
    def long(x):
        for _ in range(10**5):
            with torch.no_grad():
                x = x + 1
        return x

    given = [(torch.zeros(1),)]
    assert nearby(long, ["x"], given, [torch.ones(1)], torch.equal, seconds=0.05) == ""
    assert torch.is_grad_enabled()
