"""Other people's wording: the same problem asked in other words, signs, letters and order.

A student that learned one sentence by heart has learned a string; these make it learn the task.
Stories are the far end: the equation itself has to be found first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from distillkit.problems.algebra import parse_equation, value_at
from distillkit.problems.equations import Problem, belongs, canonical, make_problem, make_problems

PHRASES = (  # {x}: the unknown, {e}: the equation
    "Solve for {x}: {e}",
    "Solve {e} for {x}.",
    "Find {x} if {e}.",
    "What is {x} when {e}?",
    "Given that {e}, what is the value of {x}?",
    "{e}. Find {x}.",
    "Determine the value of {x}: {e}",
    "Calculate {x} from {e}.",
)
SYSTEM_PHRASES = (  # {x}: both unknowns
    "Solve for {x}: {e}",
    "Solve {e} for {x}.",
    "Find {x} if {e}.",
    "{e}. What are {x}?",
    "It holds that {e}. Determine {x}.",
)
SIGNS = ("", "", "*", "·", " * ")  # between a factor and the unknown or a bracket
LETTERS = "abcdfghjkmnpqrstuvwxyz"  # without e, i, l and o, which look like something else


def reworded(problems: Sequence[Problem], seed: int = 0) -> list[Problem]:
    """Return the problems asked in other words; each has another letter, order and signs, too.

    The answer follows the letter; family, split and id stay.  Stories stay as they are.
    """
    return [_reworded(problem, random.Random(f"{seed}-{problem.id}")) for problem in problems]


def worded_problems(
    n: int, families: Sequence[str], split: str, seed: int, avoid: Collection[Problem] = ()
) -> list[Problem]:
    """Return n different problems in other people's words, the families in turn.

    As `make_problems`, with "stories" as one more family.
    """
    turns = [families[i % len(families)] for i in range(n)]
    told = stories(turns.count("stories"), split, seed, avoid)
    others = [family for family in families if family != "stories"]
    made = make_problems(n - len(told), others, split, seed, [*avoid, *told]) if others else []
    made = iter(reworded(made, seed))
    told = iter(told)
    return [next(told if family == "stories" else made) for family in turns]


def _reworded(problem: Problem, rng: random.Random) -> Problem:
    if problem.equation not in problem.text:
        return problem
    if "," in problem.equation:
        return _reworded_system(problem, rng)
    equation = re.sub("[A-Za-z]", rng.choice(LETTERS), problem.equation)
    if rng.random() < 0.5:
        left, right = (side.strip() for side in equation.split("="))
        equation = f"{right} = {left}"
    same = make_problem(equation, problem.family, problem.split)
    name = same.answer.split(" = ")[0]
    shown = re.sub(r"(?<=[0-9])(?=[A-Za-z(])", rng.choice(SIGNS), equation)
    return replace(same, text=rng.choice(PHRASES).format(x=name, e=shown))


def _reworded_system(problem: Problem, rng: random.Random) -> Problem:
    old = sorted(set(re.findall("[A-Za-z]", problem.equation)))
    names = sorted(rng.sample(LETTERS, len(old))) if rng.random() < 0.5 else old
    letters = str.maketrans(dict(zip(old, names, strict=True)))
    same = make_problem(problem.equation.translate(letters), problem.family, problem.split)
    shown = rng.choice((", ", " and ")).join(same.equation.split(", "))
    text = rng.choice(SYSTEM_PHRASES).format(x=" and ".join(names), e=shown)
    return replace(same, text=text)


# A story, its equation, and the range of the solution; {a} and {b} are drawn, and {c} follows.
STORIES = (
    ("I think of a number n. {a} times my number plus {b} is {c}. What is n?",
     "{a}n + {b} = {c}", 2, 30),
    ("A taxi costs {b} euros plus {a} euros a kilometre. A ride of k kilometres costs {c} euros. "
     "What is k?", "{b} + {a}k = {c}", 2, 25),
    ("{a} tickets and a programme for {b} euros cost {c} euros together. One ticket costs t euros. "
     "What is t?", "{a}t + {b} = {c}", 3, 40),
    ("Ben is b years old and Anna is {b} years older. Together they are {c} years old. What is b?",
     "b + b + {b} = {c}", 3, 40),
    ("A field is w metres wide and {b} metres longer than wide. The fence around it is {c} metres "
     "long. What is w?", "2w + 2(w + {b}) = {c}", 5, 60),
    ("One shelf holds s books and another one {a} times as many. Together they hold {c} books. "
     "What is s?", "s + {a}s = {c}", 4, 40),
    ("A candle of {b} cm burns down {a} cm an hour. After h hours {c} cm are left. What is h?",
     "{b} - {a}h = {c}", 1, 9),
    ("Mia has m coins. She gets {b} more, and then has {a} times as many as at first, "
     "and {c} besides. What is m?", "m + {b} = {a}m + {c}", 2, 12),
)  # fmt: skip
TAUGHT_STORIES = (  # the same for training: whoever has seen these has seen none of those above
    ("A plumber asks {b} euros for coming and {a} euros for each quarter of an hour. After q "
     "quarters of an hour the bill is {c} euros. What is q?", "{b} + {a}q = {c}", 2, 30),
    ("{a} boxes with p pencils each and {b} single pencils make {c} pencils. What is p?",
     "{a}p + {b} = {c}", 3, 40),
    ("A tank holds {b} litres. Every minute {a} litres run out, and m minutes later {c} litres are "
     "still in it. What is m?", "{b} - {a}m = {c}", 1, 15),
    ("A boy has k cards and his sister has {b} more than he has. The two of them have {c} cards. "
     "What is k?", "k + k + {b} = {c}", 3, 50),
    ("A garden is a rectangle, g metres by a side that is {b} metres longer. Once round it is {c} "
     "metres. What is g?", "2g + 2(g + {b}) = {c}", 4, 60),
    ("A cat weighs v kilograms and a dog {a} times as much. On the scales with each other they "
     "weigh {c} kilograms. What is v?", "v + {a}v = {c}", 2, 40),
    ("Paul had u marbles. Now he finds {b} marbles, which makes {a} times what he had, "
     "and {c} on top. What is u?", "u + {b} = {a}u + {c}", 2, 15),
    ("{a} times a number y, less {b}, gives {c}. What is y?", "{a}y - {b} = {c}", 5, 50),
    ("When {b} is added to a number z and the sum is multiplied by {a}, the result is {c}. "
     "What is z?", "{a}(z + {b}) = {c}", 2, 40),
    ("Lena saves {a} euros every week. She began with {b} euros, and w weeks later she owns {c} "
     "euros. What is w?", "{b} + {a}w = {c}", 2, 40),
    ("Each of {a} rows in a hall has t seats, and {b} chairs stand at the wall. That is room for "
     "{c} people. What is t?", "{a}t + {b} = {c}", 4, 50),
    ("Dora reads {a} pages a day of a book with {b} pages. When d days are over, {c} pages remain. "
     "What is d?", "{b} - {a}d = {c}", 1, 15),
    ("A red rope is r metres long and a blue rope {b} metres longer. Tied end to end they measure "
     "{c} metres. What is r?", "r + r + {b} = {c}", 3, 50),
    ("A picture is p cm high and {b} cm wider. Its frame takes {c} cm of wood. What is p?",
     "2p + 2(p + {b}) = {c}", 5, 60),
    ("In the first bag are f apples, in the second bag {a} times that number. There are {c} apples "
     "in all. What is f?", "f + {a}f = {c}", 3, 40),
    ("A shirt costs s euros and a coat {b} euros more. One shirt and {a} coats cost {c} euros. "
     "What is s?", "s + {a}(s + {b}) = {c}", 5, 60),
)  # fmt: skip


def stories(
    n: int, split: str = "test", seed: int = 0, avoid: Collection[Problem] = ()
) -> list[Problem]:
    """Return `n` different word problems, the stories in turn; none equivalent to one in `avoid`.

    Their equations belong to the split, as those of `make_problems` do, and training tells other
    stories than tests.  Raises ValueError if there are fewer.
    """
    told = TAUGHT_STORIES if split == "train" else STORIES
    rng = random.Random(f"stories-{seed}")
    seen = {canonical(problem.equation) for problem in avoid}
    found: list[Problem] = []
    for _ in range(200 * n + 2000):
        if len(found) == n:
            return found
        text, equation, low, high = told[len(found) % len(told)]
        root, numbers = rng.randint(low, high), {"a": rng.randint(2, 9), "b": rng.randint(3, 99)}
        left, right = parse_equation(equation.format(**numbers, c=0))
        c = value_at(left, root) - value_at(right, root)
        if c <= 0:
            continue
        problem = make_problem(equation.format(**numbers, c=c), "stories", split)
        key = canonical(problem.equation)
        if key in seen or not belongs(key, split):
            continue
        seen.add(key)
        found.append(replace(problem, text=text.format(**numbers, c=c)))
    raise ValueError(f"there are not {n} different stories")
