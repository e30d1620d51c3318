"""The student's own texts: those of that step, with an end where it ended, again after a stop."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch

from distillkit.generation.sampler import sample
from distillkit.training.lora import lora, with_adapter
from distillkit.training.losses import reverse_kl
from distillkit.training.objectives import Match
from distillkit.training.on_policy import example_of, own_texts
from tests.training.test_loop import TRACES, control_c_at, losses, train

PROMPTS = [trace["prompt"] for trace in TRACES[:5]]


def test_a_steps_texts_are_the_students_and_new_at_each_step(tiny):
    stream = own_texts(tiny.model, tiny.tokenizer, PROMPTS, 2, 7, max_new_tokens=6)
    drawn = [stream.draw(step) for step in range(7)]
    assert stream.steps == 7 and [len(d) for d in drawn] == [2, 2, 1, 2, 2, 1, 2]
    assert [e.ids for e in stream.draw(3)] == [e.ids for e in drawn[3]]
    assert len({tuple(e.ids) for d in drawn for e in d}) == 12, "a prompt again, another text"
    example = drawn[0][0]
    prompt = [i for i, label in zip(example.ids, example.labels) if label == -100]
    own = [label for label in example.labels if label != -100]
    assert example.ids == prompt + own and own
    text = tiny.tokenizer.decode(prompt)
    ((row,),) = sample(
        tiny.model, tiny.tokenizer, [text], temperature=1.0, max_new_tokens=6, seed=0
    )
    assert row.text == tiny.tokenizer.decode(own).removesuffix(tiny.tokenizer.eos_token)


def test_the_labels_are_the_tokens_that_were_written(tiny, monkeypatch):
    """Not those that the tokenizer makes of its text: it may part it otherwise."""
    written = [5, 6, 7]
    done = SimpleNamespace(text="other", finish="length", ids=written)
    monkeypatch.setattr("distillkit.training.on_policy.sample", lambda *_, **__: [[done]])
    (example,) = own_texts(tiny.model, tiny.tokenizer, PROMPTS[:1], 1, 1).draw(0)
    assert example.ids[-3:] == written == [i for i in example.labels if i != -100]


def test_a_control_token_in_a_text_is_text(tiny):
    end = tiny.tokenizer.eos_token_id
    example = example_of(tiny.tokenizer, "ab", "x<|im_end|>y", True)
    assert example.labels.count(end) == 1 and example.labels[-1] == end


def test_only_a_text_that_ended_has_an_end(tiny):
    end = tiny.tokenizer.eos_token_id
    assert example_of(tiny.tokenizer, "ab", "c", True).labels[-1] == end
    assert example_of(tiny.tokenizer, "ab", "c", False).labels[-1] != end
    assert example_of(tiny.tokenizer, "ab", "", True).labels == [-100, -100, end]


@pytest.mark.parametrize(("prompts", "steps"), [([], 3), (PROMPTS, 0)])
def test_nothing_to_write_is_refused(tiny, prompts, steps):
    with pytest.raises(ValueError, match="no prompts or no steps"):
        own_texts(tiny.model, tiny.tokenizer, prompts, 2, steps)


def on_policy(tiny, temperature=1.0, **more):
    """Let the student imitate, on its own texts, what it was before with one step's adapter off."""
    torch.manual_seed(0)
    student = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
    teacher = copy.deepcopy(tiny.model)
    teacher.base_model.layers[0].mlp.down_proj.weight.data.mul_(0.3)
    stream = own_texts(student, tiny.tokenizer, PROMPTS, 3, 6, temperature, 8, seed=1)
    return train(student, tiny.tokenizer, stream, objective=Match(teacher, reverse_kl), rate=3e-2,
                 **more)  # fmt: skip


def test_a_stopped_run_writes_the_same_texts_again(tiny, tmp_path):
    whole = on_policy(tiny)
    assert whole.log[-1]["loss"] < whole.log[0]["loss"]
    on_policy(tiny, out=tmp_path, on_step=control_c_at(2))
    with pytest.raises(ValueError, match="new folder"):
        on_policy(tiny, temperature=0.5, out=tmp_path)
    run = on_policy(tiny, out=tmp_path)
    assert losses(run) == losses(whole)
