"""The exercise checks: every listed mistake is recognised, and nothing stops a notebook."""

import builtins
import inspect
import random
import time
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from torch.nn import functional as F

from distillkit import lessons
from distillkit.lessons.l01_soft_labels import checks
from distillkit.teaching import record
from distillkit.teaching.compare import difference, same, short
from distillkit.teaching.exercise import DONE, OPEN, WRONG, Exercise, Mistake, hint, whose
from distillkit.teaching.kl_mistakes import kl_mistakes
from distillkit.training import losses

MODULES = [
    import_module(f"distillkit.lessons.{path.parent.name}.{path.stem}")
    for path in sorted((Path(lessons.__file__).parent).glob("l*/checks*.py"))
]
FOUND = [value for module in MODULES for value in vars(module).values()
         if isinstance(value, Exercise)]  # fmt: skip
EXERCISES = {exercise.name: exercise for exercise in FOUND}
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{name}-{at}")
    for name, exercise in EXERCISES.items()
    for at, mistake in enumerate(exercise.mistakes)
]
# Six of these were accepted once: small letters, // 2, only neighbours, no warm-up, alpha // r,
# halves to the even number
SLIPS = [
    pytest.param(exercise, slip, id=f"{name}-rarer-{at}")
    for name, exercise in EXERCISES.items()
    for at, slip in enumerate(exercise.slips)
]
# what several exercises share, or what does the same as a mistake that has its own words
SHARED = {mistake.message for forward in (True, False)
          for mistake in kl_mistakes(torch.mean, forward=forward)}  # fmt: skip
SHARED |= {
    "the hard loss weighs 1 - alpha, not alpha - 1",
    "an empty answer comes out as an empty text: return None",
}


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch):
    monkeypatch.setattr(record, "_HERE", [])
    monkeypatch.setattr(record, "_LOST", [])
    monkeypatch.setattr(record, "KNOWN", dict(record.KNOWN))


def right(student_NV, teacher_NV, temperature=1.0):
    """A soft loss written in another way than the kit's."""
    student = (student_NV / temperature).log_softmax(-1)
    teacher = (teacher_NV.detach() / temperature).softmax(-1)
    return F.kl_div(student, teacher, reduction="batchmean") * temperature**2


def doubled(**options):
    """An exercise of one line, for tests: twice the number or tensor."""
    settings = {"probes": [(1.0,), (3.0,)], "mistakes": [], **options}
    return Exercise("doubled", lambda x: 2 * x, **settings)


def test_a_generator_is_run_to_its_end_and_its_list_compared():
    def halves(n):
        while n:
            yield n
            n //= 2

    def stops(n):
        yield n
        raise NotImplementedError

    exercise = Exercise("halves", halves, [(5,), (8,)], [])
    assert exercise.judge(lambda n: [n >> i for i in range(n.bit_length())]).kind == DONE
    assert exercise.judge(stops).kind == OPEN
    assert "it returns 1 part, [5], and 3 are expected" in exercise.judge(lambda n: [n]).message


# --- every exercise of the kit -------------------------------------------------------------


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_every_exercise_lets_its_own_answer_pass_and_knows_three_mistakes(exercise):
    def attempt(*arguments):
        return exercise.reference(*arguments)

    assert exercise.judge(attempt).message == f"✓ {exercise.name}"
    assert len({mistake.message for mistake in exercise.mistakes}) >= 3


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_every_listed_mistake_gets_its_message(exercise, mistake):
    outcome = exercise.judge(mistake.function)
    assert outcome.kind == WRONG
    assert outcome.message.startswith(f"✗ {exercise.name}: {mistake.message}")


@pytest.mark.parametrize(("exercise", "slip"), SLIPS)
def test_every_rarer_one_is_refused_and_gets_its_message_or_one_as_good(exercise, slip):
    outcome = exercise.judge(slip.function)
    assert outcome.kind == WRONG
    own = outcome.message.startswith(f"✗ {exercise.name}: {slip.message}")
    assert own or slip.message in SHARED


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
@pytest.mark.parametrize(
    "attempt",
    [lambda *_: 1 / 0, lambda *_: object(), lambda *_: float("nan"), lambda: 1, lambda *x: x, 7],
    ids=["stops", "object", "nan", "no arguments", "its arguments", "not a function"],
)
def test_no_exercise_stops_at_a_strange_attempt(exercise, attempt, capsys):
    assert exercise(attempt) is exercise.reference
    printed = capsys.readouterr().out
    assert printed.startswith(f"✗ {exercise.name}: ") and "Traceback" not in printed
    assert "the check itself" not in printed


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_every_stub_is_not_attempted(exercise):
    assert exercise.judge(lambda *_: None).kind == OPEN


def test_an_exercise_has_the_name_of_its_variable_and_no_other_has_it():
    """The table of progress is kept by name."""
    named = [name for module in MODULES for name, value in vars(module).items()
             if isinstance(value, Exercise)]  # fmt: skip
    assert len(MODULES) >= 7 and named == [exercise.name for exercise in FOUND]
    assert len(EXERCISES) == len(FOUND)


# --- what the learner gets -----------------------------------------------------------------


def test_a_right_attempt_is_ticked_and_handed_back(capsys):
    assert checks.soft_loss(right) is right
    assert capsys.readouterr().out == "✓ soft_loss\n"


@pytest.mark.parametrize("attempt", [None, ..., lambda *_: None, lambda *_: ...])
def test_no_attempt_gets_the_kits_function(attempt, capsys):
    assert checks.soft_loss(attempt) is losses.soft_loss
    assert capsys.readouterr().out == "soft_loss: not attempted yet, using the kit's\n"


def test_a_stub_that_raises_is_not_attempted():
    def stub(*arguments):
        raise NotImplementedError

    assert checks.soft_loss.judge(stub).kind == OPEN


@pytest.mark.parametrize(
    "attempt",
    [
        lambda s, t, T: T ^ 2 * (s - t).mean(),  # it means **
        lambda s, t, T: F.cross_entropy(torch.tensor([0, 1]), s),
    ],
)
def test_what_pytorch_does_not_implement_is_no_stub(attempt):
    outcome = checks.soft_loss.judge(attempt)
    assert outcome.kind == WRONG and "it stops: NotImplementedError: " in outcome.message


def test_a_generator_in_place_of_a_list_is_refused():
    exercise = Exercise("pair", lambda n: [n, n], [(5,)], [])

    def pair(n):
        yield n
        yield n

    outcome = exercise.judge(pair)
    assert outcome.kind == WRONG and "collect them in a list" in outcome.message


def test_a_loop_that_should_yield_is_told_to():
    def halves(n):
        while n:
            n //= 2
            yield n

    def once(n):
        return n // 2

    def last(n):
        while n:
            n //= 2
        yield n

    exercise = Exercise("halves", halves, [(5,), (9,)], [])
    assert "it returns 2 and ends there: `yield` a value in each round" in str(exercise.judge(once))
    assert "only 1 of 3 values come out: does the `yield` stand" in str(exercise.judge(last))
    assert exercise.judge(lambda n: [*halves(n)]).kind == DONE, "a list of them is as good"


def test_tensors_that_begin_alike_are_shown_where_they_differ():
    exercise = Exercise("rows", lambda n: torch.zeros(2, n), [(6,)], [])
    wrong = exercise.judge(
        lambda n: torch.arange(2.0 * n).reshape(2, n) * 0 + (torch.arange(n) > 4)
    )
    assert "rows: at [0, 5] expected 0, got 1\n" in wrong.message


def test_arguments_have_the_names_that_the_learner_gave_them():
    outcome = doubled().judge(lambda temperature: 3)
    assert "on input 1 of 2: temperature = 1" in outcome.message
    assert "on input 1 of 2: x = 1" in doubled().judge(lambda x, more=0: 3).message


def test_a_forgotten_return_is_hinted_at():
    def forgotten(student_NV, teacher_NV, temperature=1.0):
        student_NV.softmax(-1)

    outcome = checks.soft_loss.judge(forgotten)
    assert outcome.kind == OPEN and "is the `return` missing, or is what" in outcome.message


def test_the_kits_own_function_is_no_attempt():
    checks.soft_loss(right)
    assert checks.soft_loss.judge(losses.soft_loss).kind == OPEN
    assert checks.soft_loss(losses.soft_loss) is losses.soft_loss
    assert record.standings()["soft_loss"].solved, "a check run twice must not take the tick away"


def test_none_is_an_answer_where_the_reference_gives_it():
    def first_word(text):
        return text.split()[0] if text else None

    exercise = Exercise("first_word", first_word, probes=[("",), ("a b",)], mistakes=[])
    assert exercise.judge(lambda text: (text.split() or [None])[0]).kind == DONE
    assert "expected 'a', got 'b'" in exercise.judge(
        lambda text: (text.split() or [None])[-1]
    ).message  # fmt: skip
    assert exercise.judge(lambda text: None).kind == OPEN


def wrong_shape(s, t, temperature):
    return right(s, t, temperature)[None]


def other_kind(s, t, temperature):
    return right(s, t, temperature).item()


def other_dtype(s, t, temperature):
    return right(s, t, temperature).double()


def not_a_number(s, t, temperature):
    return right(s, t, temperature) * float("nan")


def other_value(s, t, temperature):
    return right(s, t, temperature) * 1.01


def no_gradient(s, t, temperature):
    return right(s.detach(), t, temperature)


def half_a_gradient(s, t, temperature):
    return right((s + s.detach()) / 2, t, temperature)


def no_tensor_that_learns(s, t, temperature):
    return torch.from_numpy(right(s, t, temperature).numpy())


def in_place(s, t, temperature):
    s /= temperature
    return right(s, t / temperature, 1.0) * temperature**2


def stops(s, t, temperature):
    return s @ t


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (wrong_shape, "the shape is (1,), and () is expected"),
        (other_kind, "it returns a number, 1.91"),
        (other_dtype, "the dtype is torch.float64, and torch.float32 is expected"),
        (not_a_number, "got tensor(nan): a NaN or an infinity comes from log(0)"),
        (other_value, "expected tensor(1.9151), got tensor(1.9342)"),
        (no_gradient, "no gradient reaches s:"),
        (half_a_gradient, "the gradient with respect to s is not: expected tensor (3, 5)"),
        (no_tensor_that_learns, "it stops once gradients are asked for: RuntimeError"),
        (in_place, "it changes its argument s in place"),
        (stops, "it stops: RuntimeError: mat1 and mat2"),
    ],
)
def test_a_wrong_attempt_is_told_what_and_where(attempt, words, capsys):
    outcome = checks.soft_loss.judge(attempt)
    assert outcome.kind == WRONG and words in outcome.message
    assert "of 4: s = tensor (3, 5)" in outcome.message
    assert checks.soft_loss(attempt) is losses.soft_loss
    assert "goes on with the kit's soft_loss" in " ".join(capsys.readouterr().out.split())


def test_the_line_that_stops_is_shown_and_no_traceback():
    assert "(at: return s @ t)" in checks.soft_loss.judge(stops).message


def test_type_comes_before_value_and_value_before_gradient():
    def everything_wrong(s, t, temperature):
        return 1.0

    def value_and_gradient_wrong(s, t, temperature):
        return right(s.detach(), t, temperature) + 1

    assert "a tensor is expected" in checks.soft_loss.judge(everything_wrong).message
    message = checks.soft_loss.judge(value_and_gradient_wrong).message
    assert "expected tensor(" in message and "gradient" not in message


def test_a_mistake_that_raises_is_recognised():
    exercise = doubled(
        probes=[(1,), ("ab",)], mistakes=[Mistake("texts have no sum with 0", lambda x: x + x + 0)]
    )
    assert "texts have no sum with 0" in exercise.judge(lambda x: 0 + x + x).message
    assert "it stops: KeyError" in exercise.judge(lambda x: {1: 2}[x]).message


def test_what_the_reference_raises_is_asked_for():
    def root(x):
        if x < 0:
            raise ValueError("below 0")
        return x**0.5

    exercise = Exercise("root", root, probes=[(4.0,), (-1.0,)], mistakes=[])
    message = exercise.judge(lambda x: abs(x) ** 0.5).message
    assert "it returns 1, and it should raise ValueError" in message
    assert "on input 2 of 2: x = -1" in message


def test_the_probes_stay_as_they_are():
    probes = [(torch.ones(3), [1, 2]), (torch.zeros(3), [3])]
    exercise = Exercise("total", lambda x, y: x.sum() + len(y), probes=probes, mistakes=[])

    def changes(x, y):
        total = x.sum() + len(y)
        y.append(0)
        x += 1
        return total

    assert "changes its argument x in place" in exercise.judge(changes).message
    assert probes[0][0].tolist() == [1, 1, 1] and probes[0][1] == [1, 2]
    assert exercise.judge(lambda x, y: x.sum() + len(y)).kind == DONE


def test_printing_is_kept_apart_and_shown_once(capsys):
    def chatty(x):
        print("x is", x)
        return x + x

    assert doubled()(chatty) is chatty
    out = capsys.readouterr().out
    assert out == "✓ doubled\n  On the first input it printed:\n    x is 1.0\n"


def test_printing_the_answer_is_not_returning_it():
    outcome = doubled().judge(lambda x: print(2 * x))
    assert outcome.kind == WRONG and "`return` the value instead of printing it" in outcome.message


def test_an_endless_loop_is_stopped():
    def endless(x):
        while True:
            try:
                x += 1
            except Exception:
                break

    began = time.monotonic()
    outcome = doubled(seconds=0.1).judge(endless)
    assert "s on input 1: does a loop never end?" in outcome.message
    assert "x = 1" in outcome.message and time.monotonic() - began < 60
    assert doubled(seconds=0.1).judge(lambda x: x + x).kind == DONE, "nothing is thrown later"


def test_the_gradient_of_an_endless_loop_is_stopped_too():
    def endless(x):
        while x.requires_grad:
            pass
        return 2 * x

    exercise = doubled(seconds=0.1, probes=[(torch.ones(2),)], gradient_of=0)
    assert exercise.judge(endless).kind == WRONG


def test_a_changed_list_is_not_called_a_tensor():
    def changes(x):
        x.append(1)
        return 2

    exercise = Exercise("size", lambda x: len(x) + 1, probes=[([1],)], mistakes=[])
    message = exercise.judge(changes).message
    assert "append, sort, pop and += change a list" in message and "tensor" not in message


def test_a_flood_of_printing_is_cut():
    def flood(x):
        print("y" * 10**6)
        return x

    assert len(doubled().judge(flood).message) < 1000


def test_a_slow_attempt_is_told_so_and_not_run_to_the_end(monkeypatch):
    calls = []  # it is the clock, too: on a busy machine the kit's own function is slow as well
    clock = SimpleNamespace(perf_counter=lambda: 0.03 * len(calls))
    monkeypatch.setattr("distillkit.teaching.attempt.time", clock)

    def slow(x):
        calls.append(x)
        return 2 * x

    outcome = doubled(seconds=0.2, probes=[(1.0,)] * 50).judge(slow)
    assert "of 50 inputs, and it has" in outcome.message and len(calls) < 50
    assert doubled(probes=[(1.0,)] * 2).judge(slow).kind == DONE


@pytest.mark.parametrize(("seconds", "times"), [(5.0, 1), (1e-9, 3)])
def test_the_kits_function_runs_once_but_anew_where_its_time_counts(seconds, times):
    calls = []
    exercise = doubled(seconds=seconds, probes=[(1.0,), (2.0,)])
    exercise.reference = lambda x: calls.append(x) or 2 * x
    for _ in range(3):
        exercise.judge(lambda x: 3 * x)
    assert calls == [1.0, 2.0] * times


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RecursionError, MemoryError])
def test_hard_stops_do_not_stop_the_notebook(error, capsys):
    def attempt(x):
        raise error

    exercise = doubled()
    assert exercise(attempt) is exercise.reference
    words = "does a loop never end?" if error is KeyboardInterrupt else error.__name__
    assert words in capsys.readouterr().out


def test_a_fault_of_the_check_itself_stops_nothing(capsys):
    def probes():
        raise OSError("no such file")

    exercise = doubled(probes=probes)
    assert exercise(lambda x: x) is exercise.reference
    assert "the check itself stopped: OSError: no such file" in capsys.readouterr().out


def test_a_check_leaves_the_generators_alone():
    def draw():
        return random.random(), numpy.random.rand(), torch.rand(()).item()

    def attempt(x):
        draw()
        return 2 * x

    torch.manual_seed(3), random.seed(3), numpy.random.seed(3)
    expected = draw()
    torch.manual_seed(3), random.seed(3), numpy.random.seed(3)
    assert doubled().judge(attempt).kind == DONE
    assert draw() == expected


def test_chance_is_the_same_for_reference_and_attempt():
    exercise = Exercise("draw", lambda n: torch.rand(n), probes=[(4,)], mistakes=[])
    assert exercise.judge(lambda n: torch.rand(n)).kind == DONE
    assert exercise.judge(lambda n: torch.rand(n + 1)[1:]).kind == WRONG


def test_gradients_are_checked_where_they_were_switched_off():
    with torch.no_grad():
        assert checks.soft_loss.judge(right).kind == DONE
        assert "no gradient reaches" in checks.soft_loss.judge(no_gradient).message


def test_gradients_of_several_results_are_compared():
    exercise = doubled(probes=[(torch.ones(2),)], gradient_of=0)
    exercise.reference = lambda x: (2 * x, x.sum())
    assert exercise.judge(lambda x: (x + x, x.sum())).kind == DONE
    assert "gradient" in exercise.judge(lambda x: (x + x.detach(), x.sum())).message


# --- hints, and whose function it is ---------------------------------------------------------


def test_every_lesson_can_be_asked_for_hints():
    assert all(module.hint is hint for module in MODULES)


def test_hints_come_one_after_the_other_and_then_the_solution(capsys):
    first, second, third = checks.soft_loss.hints
    for seen in range(1, 5):
        hint("soft_loss")
        said = " ".join(capsys.readouterr().out.split())
        assert (first in said, second in said, third in said) == (True, seen > 1, seen > 2)
        assert ("1 more" in said, "solution=True" in said) == (seen == 2, seen > 2)
    hint("soft_loss", solution=True)
    assert "def soft_loss(student_BC, teacher_BC, temperature):" in capsys.readouterr().out
    standing = record.standings()["soft_loss"]
    assert (standing.hints, standing.solution, standing.outcome) == (3, True, OPEN)


def test_an_unknown_exercise_is_named_with_the_known_ones(capsys):
    hint("sotf_loss")
    assert "No exercise is called 'sotf_loss'. There are: " in capsys.readouterr().out


def test_a_solved_exercise_counts_no_more_hints(capsys):
    checks.soft_loss(right)
    hint("soft_loss")
    assert checks.soft_loss.hints[0][:40] in capsys.readouterr().out
    assert record.standings()["soft_loss"].hints == 0


def test_the_kits_function_is_never_called_yours(capsys):
    assert whose(checks.soft_loss(None)) == "the kit's"
    assert whose(checks.soft_loss(other_value)) == "the kit's"
    assert whose(checks.soft_loss(right)) == "yours"


@pytest.mark.parametrize("name", record.tasks())
def test_every_task_has_its_exercise_with_a_question_a_nudge_and_a_first_line(name):
    hints = EXERCISES[name].hints
    assert len(hints) == 3 and hints[0].endswith("?")
    module = next(m for m in MODULES if EXERCISES[name] in vars(m).values())
    assert module.__name__.split(".l")[-1][:2] == record.tasks()[name].lesson


def test_a_console_without_ticks_is_no_obstacle(monkeypatch):
    said = []

    def narrow(words):
        words.encode("cp1252")
        said.append(words)

    monkeypatch.setattr(builtins, "print", narrow)
    checks.soft_loss(right)
    assert said == ["? soft_loss"]


# --- comparing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("want", "got"),
    [
        (1.0, 1.00001), (2, 2.0), (Fraction(1, 2), 0.5), (1.0, numpy.float32(1)), ([1, 2], (1, 2)),
        ({"a": [1.0]}, {"a": [1.0]}), (True, numpy.bool_(True)), (float("nan"), float("nan")),
        (torch.tensor([1.0, float("inf")]), torch.tensor([1.0, float("inf")])), (None, None),
        (numpy.ones(2), numpy.ones(2) + 1e-7), ({1, 2}, {2, 1}), ("a", "a"),
    ],
)  # fmt: skip
def test_equal_results(want, got):
    assert difference(want, got, 1e-4, 1e-6) is None and same(want, got, 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("want", "got", "words"),
    [
        (1.0, 1.01, "expected 1, got 1.01"),
        (1, True, "it returns a bool, True, and a number is expected"),
        (True, 1, "it returns a number, 1, and a bool is expected"),
        (1.0, torch.tensor(1.0), "it returns a tensor, tensor(1), and a number is expected"),
        (torch.tensor(1.0), 1.0, "it returns a number, 1, and a tensor is expected"),
        (torch.ones(2), torch.ones(2, 1), "the shape is (2, 1), and (2,) is expected"),
        (torch.ones(2), torch.ones(2).int(), "the dtype is torch.int32"),
        (numpy.ones(2), [1, 1], "it returns a list, [1, 1], and a NumPy array is expected"),
        (numpy.ones(2), numpy.zeros(2), "expected array (2,) [1, 1], got array (2,) [0, 0]"),
        ("4", 4, "it returns a number, 4, and a text is expected"),
        (None, "x", "it returns a text, 'x', and None is expected"),
        ("x", None, "it returns None, and a text is expected"),
        ([1, 2], [1], "it returns 1 part, [1], and 2 are expected"),
        ([1, [2, 3]], [1, [2, 4]], "in part [1][1] expected 3, got 4"),
        ({"a": 1}, {"b": 1}, "its keys are ['b'], and ['a'] are expected"),
        ({"a": 1}, {"a": 2}, "in part ['a'] expected 1, got 2"),
        (1.0, float("nan"), "a NaN or an infinity"),
        (numpy.ones(1), numpy.full(1, numpy.inf), "a NaN or an infinity"),
        ("a" * 90 + "b", "a" * 90 + "c", "from character 91 on the texts differ: expected"),
        ("a" * 90, "a" * 91, "from character 91 on the texts differ"),
        (object(), object(), "expected <object"),
        (1.0, 10**400, "expected 1, got 1000"),
        (1.0, numpy.array(["a"]), "it returns a NumPy array, array(['a'], dtype='<U1'), and"),
        (numpy.array(["a"]), numpy.array(["b"]), "expected array(['a'], dtype='<U1'), got"),
        (numpy.array([[1], None], object), numpy.array([[2], None], object), "expected array("),
        (torch.ones(2), torch.ones(2).to_sparse(), "and an ordinary tensor on the CPU is expected"),
        (torch.ones(2), torch.ones(2, device="meta"), "device='meta', size=(2,)), and an ordinary"),
    ],
)
def test_different_results(want, got, words):
    assert words in difference(want, got, 1e-4, 1e-6) and not same(want, got, 1e-4, 1e-6)


@pytest.mark.parametrize("right", [1.0, numpy.ones(2), torch.ones(2), [1.0, 2.0]])
@pytest.mark.parametrize(
    "wrong",
    [
        10**400, [10**400, 1], numpy.array(["a"]), numpy.array([object(), None]),
        numpy.array([[1], None], object), numpy.ones(2)[::-1] * 3, numpy.ones(2, numpy.longdouble),
        torch.ones(2).to_sparse(), torch.ones(2, device="meta"), torch.ones(2, dtype=torch.cfloat),
        1j,
    ],
)  # fmt: skip
def test_nonsense_does_not_stop_the_check_itself(right, wrong):
    exercise = Exercise("one", lambda x: right, probes=[(1,), (2,)], mistakes=[])
    outcome = exercise.judge(lambda x: wrong)
    assert outcome.kind == WRONG and "the check itself" not in outcome.message


def test_modules_are_compared_by_their_weights():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert not same(first, second, 0, 0)
    second.load_state_dict(first.state_dict())
    assert same(first, second, 0, 0)


def test_values_are_told_in_a_few_words():
    class Rude:
        def __repr__(self):
            raise RuntimeError

    assert short(torch.arange(100)) == "tensor (100,) [0, 1, 2, 3, …]"
    assert len(short("x" * 1000)) == 80
    assert short(Rude()) == "a Rude" and short(len) == "len"
    assert inspect.signature(losses.soft_loss).parameters.keys() == {
        "student_NV", "teacher_NV", "temperature",
    }  # fmt: skip


def test_an_attempt_that_turns_gradients_off_does_so_for_itself_alone(capsys):
    def attempt(x):
        torch.set_grad_enabled(False)
        return 2 * x

    exercise = doubled(probes=[(torch.tensor([1.0]),), (torch.tensor([3.0]),)])
    exercise(attempt)
    assert torch.is_grad_enabled()
