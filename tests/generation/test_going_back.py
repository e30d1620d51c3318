"""Going back: where a text goes on, and that the sampler writes there what it would have written.

The tokenizer of these tests shows each token as a line of its own, so that each can be taken back.
"""

from __future__ import annotations

from itertools import product
from math import isclose, prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distillkit.generation.going_back import GoBack, Refused, WayBack
from distillkit.generation.sampler import sample
from tests.generation.test_sampler import SHARED, TokenNumbers, distance, texts


class Lines(TokenNumbers):
    """Shows each token as a line with its number, and reads such lines as tokens."""

    def __call__(self, text, **options):
        if not text.replace("\n", "").isdigit():
            return super().__call__(text, **options)
        return {"input_ids": [int(line) for line in text.split()]}

    def decode(self, ids, **_):
        return "".join(f"{i}\n" for i in ids)


def lines(n: int) -> str:
    return "".join(f"line {i}\n" for i in range(n))


# --- where a text goes on -------------------------------------------------------------------------


def test_a_text_that_holds_goes_on_where_it_is():
    path = WayBack(2)
    assert path.beginning(lines(4), lines(4)) == lines(4)
    assert not path.stuck and path.tries == 2


def test_a_line_is_written_again_a_few_times_and_then_more_and_more_before_it():
    path = WayBack(9)
    found = [path.beginning(lines(9), lines(8)) for _ in range(8)]
    assert found == [lines(n) for n in (8, 8, 8, 8, 7, 6, 5, 4)]


def test_whoever_comes_further_begins_anew_with_its_line():
    path = WayBack(15)
    reached = (4,) * 5 + (5,) * 5
    found = [path.beginning(lines(9), lines(n)) for n in reached]
    assert found == [lines(n) for n in (4, 4, 4, 4, 3, 5, 5, 5, 5, 4)]


def test_it_is_drawn_until_it_is_further_than_where_it_failed():
    path, drawn = WayBack(9), []
    for written, held in [(1, 1), (6, 5), (6, 5), (3, 3), (5, 5), (6, 6), (7, 7), (8, 2), (7, 7)]:
        path.beginning(lines(written), lines(held))
        drawn.append(path.drawn)
    assert drawn == [False, True, True, True, True, False, False, True, False]


def test_a_line_that_holds_only_up_to_a_sign_is_further_with_one_sign_more():
    path = WayBack(9)
    path.beginning("a = b\nc = d = e\n", "a = b\nc = d")
    path.beginning("a = b\nc = d\n", "a = b\nc = d\n")
    assert not path.drawn


def test_it_goes_back_to_the_first_line_at_most():
    path = WayBack(20)
    found = [path.beginning(lines(3), lines(2)) for _ in range(12)]
    assert found == [lines(2)] * 4 + [lines(1)] + [""] * 7


def test_a_part_of_a_line_is_further():
    path = WayBack(9)
    ends = ("", *["a = b"] * 4, "a = c", "a = c\n")
    found = [path.beginning(lines(9), lines(2) + end) for end in ends]
    assert found == [lines(2) + end for end in ("", *["a = b"] * 4, "", "a = c\n")]


def test_after_all_tries_it_is_stuck():
    path = WayBack(2)
    for stuck in (False, False, True):
        path.beginning(lines(3), lines(1))
        assert path.stuck == stuck


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=30), st.integers(0, 30))
def test_what_is_kept_always_holds(written, tries):
    path = WayBack(tries)
    for n, holds in written:
        holds = min(n, holds)
        assert lines(holds).startswith(path.beginning(lines(n), lines(holds)))
        assert path.stuck == (path.tries < 0)


# --- what was refused -----------------------------------------------------------------------------


def model(ids):
    """The probabilities of one of four tokens after `ids`."""
    generator = torch.Generator().manual_seed(hash(tuple(ids)))
    return torch.randn(4, generator=generator, dtype=torch.float64).mul(2).softmax(0)


def known(ids):
    return [float(model(ids[:n])[token]) for n, token in enumerate(ids)]


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), max_size=30))
def test_the_others_are_as_likely_as_if_one_draws_until_it_is_no_refused_one(texts):
    """Whatever was refused, each text's probability is its own among those that are left."""
    refused, gone = Refused(), {tuple(text) for text in texts}
    for text in texts:  # some of them twice
        refused.add(text, known(text))
    remaining = [ids for ids in product(range(4), repeat=3) if ids not in gone]
    whole = sum(prod(known(ids)) for ids in remaining)
    for ids in remaining:
        steps = [refused.left(ids[:n], model(ids[:n])) for n in range(3)]
        found = prod(float(left_V[t] / left_V.sum()) for left_V, t in zip(steps, ids, strict=True))
        assert isclose(found, prod(known(ids)) / whole, rel_tol=1e-4)
    for ids in gone:
        steps = [refused.left(ids[:n], model(ids[:n])) for n in range(3)]
        found = prod(float(left_V[t] / left_V.sum()) for left_V, t in zip(steps, ids, strict=True))
        assert found < 1e-5


def test_a_longer_text_leaves_the_shorter_ones_beside_it():
    refused = Refused()
    refused.add([1, 2], known([1, 2]))
    refused.add([1, 3, 0], known([1, 3, 0]))
    want = 1 - model([1])[2] - model([1])[3] * model([1, 3])[0]
    assert isclose(refused.left([], model([]))[1], model([])[1] * want)
    assert refused.left([2], model([2])).tolist() == model([2]).tolist()


def test_what_was_given_counts_as_soon_as_its_probability_is_known():
    """The first text begins with two given tokens; for the second they were drawn."""
    refused, text = Refused(), [3, 1, 2]
    refused.add(text, known(text)[2:])
    assert refused.left([], model([])).tolist() == model([]).tolist()
    assert isclose(refused.left([3], model([3]))[1], model([3])[1] * (1 - model([3, 1])[2]))
    assert refused.left([3, 1], model([3, 1]))[2] == 0
    refused.add([3, 1, 0], known([3, 1, 0]))
    gone = model([3])[1] * (model([3, 1])[2] + model([3, 1])[0])
    assert isclose(refused.left([], model([]))[3], model([])[3] * (1 - gone))


def test_what_goes_on_as_a_refused_text_is_refused_once():
    refused = Refused()
    refused.add([1], known([1]))
    refused.add([1, 2], known([1, 2]))
    refused.add([0, 3], known([0, 3]))
    assert refused.left([], model([]))[1] == 0
    assert isclose(refused.left([], model([]))[0], model([])[0] * (1 - model([0])[3]))


def test_if_nothing_else_is_left_it_may_come_again():
    refused, sure_V = Refused(), torch.tensor([0.0, 1.0])
    refused.add([1], [1.0])
    assert refused.left([], sure_V) is sure_V


# --- in the sampler -------------------------------------------------------------------------------


class Once:
    """Refuses the n-th line of each text the first time that it is written."""

    def __init__(self, n: int):
        self.n, self.refused = n, set()

    def __call__(self, prompt: int, text: str) -> str:
        written = text.splitlines(keepends=True)
        if len(written) < self.n or prompt in self.refused:
            return text
        self.refused.add(prompt)
        return "".join(written[: self.n - 1])


@pytest.fixture(scope="module")
def plain(tiny):
    return sample(tiny.model, Lines(tiny.tokenizer), SHARED, max_new_tokens=12)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_where_all_holds_nothing_changes(tiny, plain, temperature):
    some = {"max_new_tokens": 12, "temperature": temperature, "k": 2, "seed": 3}
    want = sample(tiny.model, Lines(tiny.tokenizer), SHARED, **some)
    back = GoBack(lambda prompt, text: text)
    got = sample(tiny.model, Lines(tiny.tokenizer), SHARED, back=back, **some)
    assert texts(got) == texts(want)
    assert [[c.tokens for c in row] for row in got] == [[c.tokens for c in row] for row in want]


@pytest.mark.parametrize("width", [1, 3, 64])
@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_the_line_is_written_from_the_same_place(tiny, plain, width, n):
    """At almost no temperature nothing else is left, and the same token comes again if the cache is
    as it was there."""
    got = sample(tiny.model, Lines(tiny.tokenizer), SHARED, max_new_tokens=13, width=width,
                 back=GoBack(Once(n), temperature=1e-6))  # fmt: skip
    assert texts(got) == texts(plain)
    assert [row[0].tokens for row in got] == [row[0].tokens + 1 for row in plain]


def test_a_text_that_went_back_does_not_depend_on_the_others(tiny, plain):
    def written(prompts, width):
        back = GoBack(Once(3), temperature=5.0)
        return texts(sample(tiny.model, Lines(tiny.tokenizer), prompts, max_new_tokens=12, seed=3,
                            width=width, back=back))  # fmt: skip

    got = written(SHARED, 64)
    assert got == written(SHARED, 2) and got[4:5] == written(SHARED[4:5], 1)
    for (new,), (old,) in zip(got, texts(plain), strict=True):
        assert new.splitlines()[:2] == old.splitlines()[:2]
    assert got != texts(plain), "at this temperature another third token is drawn"


def test_only_the_line_that_is_written_again_is_drawn(tiny):
    """Behind it the text is greedy again: what `sample` writes behind the same beginning."""
    numbers = Lines(tiny.tokenizer)
    back = GoBack(Once(2), temperature=5.0)
    ((got,),) = sample(tiny.model, numbers, ["Two and more"], max_new_tokens=10, back=back)
    ids = [int(line) for line in got.text.split()]
    prompt = torch.tensor([[*tiny.tokenizer("Two and more")["input_ids"], *ids[:2]]])
    want = tiny.model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                               max_new_tokens=7, min_new_tokens=7)  # fmt: skip
    assert want[0, prompt.shape[1] :].tolist() == ids[2:]


def test_a_text_that_went_back_further_is_drawn_to_where_it_failed(tiny):
    """The sixth line is refused until its text went back to the end of the third: greedily it would
    come to the same lines again."""
    numbers, begun = Lines(tiny.tokenizer), []

    def keep(prompt, text):
        written = text.splitlines(keepends=True)
        if len(written) != 6 or len(begun) > 5:
            return text
        begun.append("".join(written[:5]))
        return begun[-1]

    back = GoBack(keep, tries=99, temperature=5.0)
    ((got,),) = sample(tiny.model, numbers, ["Two and more"], max_new_tokens=30, back=back)
    want = begun[0].splitlines()
    assert begun[:5] == begun[:1] * 5 and begun[5].splitlines()[:4] == want[:4]
    ids = [int(line) for line in got.text.split()]
    assert ids[3] != int(want[3]), "the fourth line is drawn anew as well"
    prompt = torch.tensor([[*tiny.tokenizer("Two and more")["input_ids"], *ids[:6]]])
    n = len(ids) - 6
    after = tiny.model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                                max_new_tokens=n, min_new_tokens=n)  # fmt: skip
    assert after[0, prompt.shape[1] :].tolist() == ids[6:], "further on it is greedy again"


def test_a_refused_token_is_drawn_from_what_is_left(tiny):
    """Rejection sampling: the distribution given that the line holds, in as few tries as that."""
    prompt, n = "Two and more", 1500
    with torch.no_grad():
        top = tiny.model(torch.tensor([tiny.tokenizer(prompt)["input_ids"]])).logits[0, -1].topk(6)
    refused = {f"{token}\n" for token in top.indices[[0, 2]].tolist()}
    back = GoBack(lambda prompt, text: "" if text in refused else text, tries=2)
    (row,) = sample(tiny.model, Lines(tiny.tokenizer), [prompt], k=n, temperature=1.0, top_k=6,
                    max_new_tokens=60, width=n, stop="\n", back=back)  # fmt: skip
    left = [1, 3, 4, 5]
    places = {token: place for place, token in enumerate(top.indices[left].tolist())}
    assert all(text.finish == "stop" and text.tokens <= 3 for text in row)
    drawn = [places[int(completion.text)] for completion in row]
    assert distance(drawn, top.values[left].softmax(-1)) < 0.04


@pytest.mark.parametrize("width", [1, 3, 64])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_begun_text_is_written_on(tiny, plain, width, n):
    begun = ["".join(text.splitlines(keepends=True)[:n]) for (text,) in texts(plain)]
    got = sample(tiny.model, Lines(tiny.tokenizer), SHARED, max_new_tokens=12 - n, width=width,
                 begun=begun)  # fmt: skip
    assert texts(got) == texts(plain)
    assert [row[0].tokens + n for row in got] == [row[0].tokens for row in plain]


def test_what_was_begun_may_be_taken_back(tiny, plain):
    begun = [text[: len(text) // 2].rpartition("\n")[0] + "\n" for (text,) in texts(plain)]
    got = sample(tiny.model, Lines(tiny.tokenizer), SHARED, max_new_tokens=12, begun=begun,
                 back=GoBack(Once(2), temperature=1e-6))  # fmt: skip
    for row, old in zip(texts(got), texts(plain), strict=True):
        assert row[0].startswith(old[0])


def test_a_begun_line_is_drawn_on(tiny, plain):
    begun = ["".join(text.splitlines(keepends=True)[:3]) for (text,) in texts(plain)]
    some = {"max_new_tokens": 9, "begun": begun, "seed": 3}
    back = GoBack(lambda prompt, text: text, temperature=5.0)
    got = texts(sample(tiny.model, Lines(tiny.tokenizer), SHARED, back=back, **some))
    assert all(new[0].startswith(old) for new, old in zip(got, begun, strict=True))
    assert got != texts(plain)


@pytest.mark.parametrize("n", [1, 3])
def test_what_was_refused_does_not_come_again_behind_a_line_that_holds(tiny, n):
    """What holds may end lines above the refused one: the lines between hold, and come again."""
    seen = []

    def keep(prompt, text):
        written = text.splitlines(keepends=True)
        if len(written) < 5 or len(seen) == 6:
            return text
        seen.append(text)
        return "".join(written[: 5 - n])

    back = GoBack(keep, tries=99)
    sample(tiny.model, Lines(tiny.tokenizer), ["Two and more"], max_new_tokens=60, back=back)
    assert len(seen) == 6 == len(set(seen))


def test_a_text_that_never_holds_is_stuck_after_all_tries(tiny):
    back = GoBack(lambda prompt, text: text[:2] if prompt == 0 else text, tries=3)
    (stuck,), (other,) = sample(tiny.model, Lines(tiny.tokenizer), SHARED[:2], max_new_tokens=12,
                                back=back)  # fmt: skip
    assert stuck.finish == "stuck" and other.finish in ("eos", "length")
    assert stuck.tokens < 12


@pytest.mark.parametrize("n", [0, 1, 3])
def test_what_is_taken_back_counts_against_the_limit(tiny, n):
    back = GoBack(lambda prompt, text: "".join(text.splitlines(keepends=True)[:n]), tries=99)
    ((got,),) = sample(tiny.model, Lines(tiny.tokenizer), SHARED[:1], max_new_tokens=8, back=back)
    assert got.finish == "length" and got.tokens == 8 and len(got.text.split()) <= 3


def test_an_end_that_does_not_hold_is_taken_back(tiny):
    """The stop text ended the text, or the end token; both can be wrong."""
    ((want,),) = sample(tiny.model, Lines(tiny.tokenizer), SHARED[:1], max_new_tokens=12)
    stop = want.text.splitlines()[4] + "\n"
    asked = []

    def keep(prompt, text):
        asked.append(text)
        return text[: -len(stop)] if text.endswith(stop) and asked.count(text) == 1 else text

    ((got,),) = sample(tiny.model, Lines(tiny.tokenizer), SHARED[:1], max_new_tokens=12,
                       stop=stop, back=GoBack(keep, temperature=1e-6))  # fmt: skip
    assert got.finish == "stop" and got.text == want.text[: want.text.index(stop) + len(stop)]
    assert asked.count(got.text) == 2 and got.tokens == len(got.text.split()) + 1
