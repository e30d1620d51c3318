"""Chat templates as models have them: nothing of a chat is lost, and nobody's text is control."""

from __future__ import annotations

import copy
import datetime
from collections import Counter

import pytest

pytest.importorskip("torch")
from distillkit.evaluation.scoring import evaluate
from distillkit.generation import sampler
from distillkit.generation.sampler import sample
from distillkit.models import chats
from distillkit.models.chats import (
    TODAY,
    as_text,
    chat_note,
    chat_text,
    opened,
    token_ids,
    unwritten,
)
from distillkit.models.downloads import ModelError
from distillkit.problems.equations import make_problems
from distillkit.traces.filters import to_traces
from distillkit.traces.teachers import Local, Solver
from distillkit.traces.templates import (
    SHOTS,
    TEMPLATES,
    THINK,
    messages,
    prompt_text,
    render_solution,
)
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import lora
from distillkit.training.packing import encode
from tests.conftest import CHATML, byte_tokenizer

PROBLEMS = make_problems(4, seed=1)
TURN = "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
NEXT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
EACH = "{% for m in messages %}" + TURN + "{% endfor %}" + NEXT
NO_THINKING = (
    "{% for m in messages %}{% set c = m['content'] %}"
    "{% if m['role'] == 'assistant' and '</think>' in c %}"
    "{% set c = c.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ c }}<|im_end|>\n{% endfor %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
)
ALTERNATE = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{% endfor %}"
)
TEMPLATE = {  # what a template does -> its text, and a word of what is said when it is loaded
    "ordinary": (CHATML, ""),
    "drops the thinking (Qwen3)": (NO_THINKING + NEXT, "loses a part"),
    "drops it and opens the next (R1-Distill)": (
        NO_THINKING + "<|im_start|>assistant\n<think>\n", "loses a part"),
    "refuses a system message (Gemma 2)": (NO_SYSTEM + EACH, "no system message"),
    "wants roles to alternate (Mistral)": (ALTERNATE + EACH, "no system message"),
    "leaves a system message out": (
        "{% for m in messages if m['role'] != 'system' %}" + TURN + "{% endfor %}" + NEXT,
        "no system message"),
    "puts it into the last question (Mistral)": (
        "{% for m in messages if m['role'] != 'system' %}<|im_start|>{{ m['role'] }}\n"
        "{% if loop.last %}{{ messages[0]['content'] }}\n\n{% endif %}{{ m['content'] }}"
        "<|im_end|>\n{% endfor %}" + NEXT, ""),
    "knows users only": (
        "{% for m in messages %}{% if m['role'] != 'user' %}{{ raise_exception('who?') }}"
        "{% endif %}" + TURN + "{% endfor %}" + NEXT, "all goes into one question"),
    "drops thinking and system": (NO_SYSTEM + NO_THINKING + NEXT, "all goes into one question"),
    "reads the last question only": (
        "<|im_start|>user\n{{ messages[-1]['content'] }}<|im_end|>\n" + NEXT,
        "all goes into one question"),
    "strips (Llama)": (EACH.replace("m['content'] }}", "m['content'] | trim }}"), ""),
    "writes the date": ("{{ strftime_now('%d %b %Y') }}" + EACH, ""),
}  # fmt: skip


def with_template(text, special=()):
    tokenizer = byte_tokenizer()
    if special:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", *special]})
    tokenizer.chat_template = text
    return tokenizer


def trained_turn(tokenizer, trace):
    """What stands after the last beginning of an answer, prompt and completion together."""
    return tokenizer.decode(encode([trace], tokenizer)[0].ids).split("assistant\n")[-1]


@pytest.mark.parametrize("name", TEMPLATE)
@pytest.mark.parametrize("shots", [(), SHOTS])
def test_nothing_of_a_chat_is_lost(name, shots):
    text, said = TEMPLATE[name]
    tokenizer = with_template(text)
    prompt = prompt_text(tokenizer, PROBLEMS[0].text, THINK, shots)
    assert prompt.count(THINK.instruction) == 1
    assert prompt.count(PROBLEMS[0].text) == 1
    for shot in shots:
        assert shot.text in prompt and render_solution(shot) in prompt
    assert prompt.rstrip().endswith(("assistant", "<think>"))
    assert bool(said) == bool(chat_note(tokenizer)) and said in chat_note(tokenizer)


def test_an_ordinary_chat_is_the_templates_own():
    tokenizer = with_template(CHATML)
    chat = messages(PROBLEMS[0].text, THINK, SHOTS)
    own = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert chat_text(tokenizer, chat) == own and token_ids(tokenizer, own) == (
        tokenizer(own, add_special_tokens=False)["input_ids"])  # fmt: skip


@pytest.mark.parametrize(("template", "said"), [
    (None, "has no chat template: take the one"),
    ("{% for m in messages %}x{% endfor %}", "a part is left out"),
    ("{{ raise_exception('tools only') }}", "tools only"),
    ("{% if %}", "Expected an expression"),
    ("{{ messages[0]['content'] + 1 }}", "take another model"),
])  # fmt: skip
def test_a_template_that_cannot_write_a_chat_is_one_sentence(template, said):
    tokenizer = with_template(template)
    with pytest.raises(ModelError, match=said):
        chat_text(tokenizer, messages("2x = 4"))
    with pytest.raises(ModelError, match=said):
        encode(to_traces(Solver().sample(PROBLEMS[:1])), tokenizer)


# --- thinking that the template opens --------------------------------------------------------

OPENS = {name: EACH.removesuffix(NEXT) + f"<|im_start|>assistant\n{tag}" for name, tag in {
    "with a line end": "<think>\n", "without": "<think>", "two line ends": "<think>\n\n",
    "another word": "<thinking>\n", "Mistral's": "[THINK]",
}.items()}  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("name", OPENS)
def test_thinking_is_opened_once_and_closed_once(name, template):
    tokenizer = with_template(OPENS[name])
    (trace,) = to_traces(Solver(template).sample(PROBLEMS[:1]))
    turn = trained_turn(tokenizer, trace)
    tags = Counter({"<think>": turn.count("<think>"), "</think>": turn.count("</think>"),
                    "<thinking>": turn.count("<thinking>"), "[THINK]": turn.count("[THINK]"),
                    "</thinking>": turn.count("</thinking>"),
                    "[/THINK]": turn.count("[/THINK]")})  # fmt: skip
    opens = {"another word": "<thinking>", "Mistral's": "[THINK]"}.get(name, "<think>")
    expected = Counter({opens, opens.replace("<", "</").replace("[", "[/")})
    if template is THINK:
        expected |= Counter({"<think>", "</think>"})
    assert +tags == expected
    answer = turn.rpartition(opens.replace("<", "</").replace("[", "[/"))[2]
    whole = turn if template is THINK and opens == "<think>" else answer
    assert template.parse(whole.removesuffix("<|im_end|>")).ok


def answering(monkeypatch, text):
    """Let every model answer with a text, of which the prompt may have begun a part."""

    def written(model, tokenizer, prompts, k=1, *_, on_done=None, **__):
        for i, prompt in enumerate(prompts):
            for number in range(k):
                rest = unwritten(prompt, text)
                on_done(i, number, sampler.Completion(rest, "eos", 9, 0.1))

    monkeypatch.setattr("distillkit.evaluation.scoring.sample", written)
    monkeypatch.setattr("distillkit.generation.sampler.sample", written)


@pytest.mark.parametrize("template", ["ordinary", *OPENS])
def test_an_answer_is_read_as_if_the_opened_tag_stood_in_it(tiny, monkeypatch, template):
    tokenizer = with_template({"ordinary": CHATML, **OPENS}[template])
    answering(monkeypatch, render_solution(PROBLEMS[0]))
    (row,) = evaluate(tiny.model, tokenizer, PROBLEMS[:1])
    assert row["format"] and row["exact"]
    (row,) = Local(tiny.model, tokenizer, "tiny").sample(PROBLEMS[:1], k=1)
    assert THINK.parse(row["text"]).ok


@pytest.mark.parametrize(("prompt", "answer", "rest"), [
    ("a<think>\n", "<think>\nx", "x"), ("a<think>", "<think>\nx", "\nx"),
    ("a<think>\n\n", "<think>\nx", "x"), ("a<think>\n", "x", "x"), ("a", "<think>\nx", None),
    ("a<think>\n\n</think>\n\n", "<think>\nx", None), ("<think> so a", "<think>\nx", None),
])  # fmt: skip
def test_what_a_prompt_has_written_is_not_written_again(prompt, answer, rest):
    assert unwritten(prompt, answer) == (answer if rest is None else rest)
    assert bool(opened(prompt)) == (rest is not None)


# --- the date --------------------------------------------------------------------------------

DATES = ["%d %b %Y", "%Y-%m-%d", "%B %-d, %Y", "%A %H:%M:%S", "at %I:%M %p on %x",
         "%F %T, %D %R", "%e. %h, day %-j"]  # fmt: skip


@pytest.mark.parametrize("form", DATES)
def test_a_template_writes_the_same_date_on_every_day(form):
    text = "{%- set today = strftime_now('" + form + "') -%}\n  Today: {{ today }}\n" + EACH
    tokenizer = with_template("{% if strftime_now is defined %}" + text + "{% endif %}")
    assert f"Today: {TODAY.strftime(form)}\n" in chat_text(tokenizer, messages("2x = 4"))
    plain = with_template(text.replace("strftime_now('" + form + "')", "'x'"))
    own = chat_text(plain, messages("2x = 4"))
    assert chat_text(tokenizer, messages("2x = 4")) == own.replace(
        "Today: x", f"Today: {TODAY.strftime(form)}")  # fmt: skip


def test_a_system_without_the_codes_of_others_writes_the_same_date(monkeypatch):
    class Windows(datetime.datetime):
        def strftime(self, form):
            if "%-" in form:
                raise ValueError("Invalid format string")
            return super().strftime(form)

    tokenizer = with_template("{{ strftime_now('%B %-d, %-H') }}" + EACH)
    monkeypatch.setattr(chats, "TODAY", Windows(2024, 7, 6))
    chats._stopped_clock.cache_clear()
    assert chat_text(tokenizer, messages("2x = 4")).startswith("July 6, 0")
    chats._stopped_clock.cache_clear()


def test_a_run_goes_on_after_midnight(fresh_tiny, tmp_path, monkeypatch):
    import transformers.utils.chat_template_utils as utils

    day = [26]

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, day[0], 23, 59)

    monkeypatch.setattr(utils, "datetime", Clock)
    tokenizer = with_template("{{ strftime_now('%d %b %Y, %H:%M') }}" + EACH)
    traces = to_traces(Solver().sample(PROBLEMS))

    def stop(row):
        if row["step"] == 2:
            raise KeyboardInterrupt

    def run(**more):
        config = TrainingConfig(batch_size=1, save_seconds=0)
        model = copy.deepcopy(fresh_tiny.model)
        return distill(model, tokenizer, traces, lora(r=2), config, out=tmp_path / "o", **more)

    with pytest.raises(KeyboardInterrupt):
        run(on_step=stop)
    day[0] = 27
    assert len(run().log) == 4


# --- control tokens and text -----------------------------------------------------------------


@pytest.mark.parametrize("place", ["system", "user", "assistant", "completion"])
@pytest.mark.parametrize("mark", [
    "<|im_end|>", "<|im_start|>user\n", "<|endoftext|>", "<|im_<|im_end|>end|>",
    "<|im_end|><|im_end|>",
])  # fmt: skip
def test_an_end_mark_in_a_message_is_text(place, mark):
    tokenizer = with_template(CHATML)
    words = f"The mark {mark} ends a turn."
    chat = {"system": "a", "user": "b", "assistant": "c", "completion": "d"} | {place: words}
    prompt = [{"role": role, "content": chat[role]} for role in ("system", "user", "assistant")]
    prompt.append({"role": "user", "content": "e"})
    (example,) = encode([{"prompt": prompt, "completion": [
        {"role": "assistant", "content": chat["completion"]}]}], tokenizer)  # fmt: skip
    end, start = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    assert (example.ids.count(end), example.ids.count(start)) == (5, 5)
    assert words in tokenizer.decode(example.ids), "the text is the same"


def test_the_sampler_reads_an_end_mark_in_a_question_as_text(tiny, monkeypatch):
    seen = []
    monkeypatch.setattr(
        sampler, "common_prefix", lambda ids: seen.extend(ids) or min(map(len, ids)) - 1
    )
    prompt = chat_text(tiny.tokenizer, [{"role": "user", "content": "What is <|im_end|>?"}])
    sample(tiny.model, tiny.tokenizer, [prompt], max_new_tokens=1)
    assert seen[0].count(tiny.tokenizer.eos_token_id) == 1
    assert tiny.tokenizer.decode(seen[0]).count("<|im_end|>") == 2


@pytest.mark.parametrize("special", [
    ["<think>", "</think>"], ["<answer>", "</answer>"],
    ["<think>", "</think>", "<answer>", "</answer>"],
])  # fmt: skip
def test_tags_that_are_special_tokens_are_learned_and_read_as_such(special):
    tokenizer = with_template(CHATML, special)
    text = render_solution(PROBLEMS[0])
    (example,) = encode(to_traces(Solver().sample(PROBLEMS[:1])), tokenizer)
    for tag in special:
        assert example.ids.count(tokenizer.convert_tokens_to_ids(tag)) >= 1
        assert as_text(tokenizer, tag) == tag
    own = [label for label in example.labels if label >= 0]
    assert tokenizer.decode(own) == text + "<|im_end|>"
    for stop in (THINK.stop, ""):
        ending, row = sampler.Ending(tokenizer, {own[-1]}, stop, 999), sampler._Row(0, 0, [], 0)
        found = None
        while found is None:
            row.ids.append(own[len(row.ids)])
            found = ending(row)
        assert found.text == text and THINK.parse(found.text).ok
