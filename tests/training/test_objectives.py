"""Objectives on the prefix tree: a teacher's word at the same nodes, weights, an own teacher."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from conftest import tiny_model

from distillkit.models.chats import chat_text
from distillkit.problems.equations import make_problems
from distillkit.traces.templates import SHOTS, messages, render_solution
from distillkit.training import objectives as kit
from distillkit.training.gradients import CompletionLoss
from distillkit.training.lora import lora, with_adapter
from distillkit.training.losses import forward_kl, jsd, reverse_kl, soft_loss
from distillkit.training.packing import encode, pack, supervised
from distillkit.training.plain_loop import padded
from tests.training.test_loop import TRACES, control_c_at, losses, same_weights, train, weights
from tests.training.test_losses import probabilities, reference_kl


@pytest.fixture(scope="module")
def teacher(tiny):
    """Another random model of the same family, with a larger vocabulary, in training mode."""
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.add_tokens(["<more>", "<and more>"])
    return tiny_model("Qwen2", tokenizer, attention_dropout=0.5).train()


@pytest.fixture
def student(fresh_tiny):
    """A student whose adapter does something."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = with_adapter(fresh_tiny.model, lora(r=2))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3, generator=torch.Generator().manual_seed(5))
    return model.train()


def said_one_by_one(model, examples):
    """The logits of a plain model before each label, each example read alone."""
    rows = []
    with torch.no_grad():
        for example in examples:
            logits = model(input_ids=torch.tensor([example.ids])).logits[0]
            rows += [logits[i - 1] for i, label in enumerate(example.labels) if label != -100]
    return torch.stack(rows)


# --- the teacher reads the student's tree: each check takes the module that is to obey it ---------


def check_the_teacher_is_read_at_the_same_positions(module, tiny, student, teacher):
    """Second route: both models read each example alone, and the KL is taken in float64."""
    examples = encode(TRACES[:3], tiny.tokenizer)
    quiet = copy.deepcopy(teacher).eval()
    for divergence, order in ((forward_kl, 1), (reverse_kl, -1)):
        match = module.Match(teacher, divergence, 2.0)
        got = CompletionLoss(student, match)(**pack(examples))
        v = student.config.vocab_size
        both = [probabilities(said_one_by_one(m, examples)[:, :v], 2.0) for m in (quiet, student)]
        assert got.item() == pytest.approx(4 * reference_kl(*both[::order]).sum(), rel=1e-4)


def check_the_teacher_stays_as_it_is(module, tiny, student, teacher):
    before, mode = copy.deepcopy(teacher.state_dict()), teacher.training
    batch = pack(encode(TRACES[:2], tiny.tokenizer))
    CompletionLoss(student, module.Match(teacher))(**batch).backward()
    assert teacher.training is mode and all(m.training is mode for m in teacher.modules())
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert not module.read_teacher(teacher, batch).logits_NV.requires_grad


def check_the_student_with_its_adapter_off_is_its_teacher(module, tiny, student, teacher):
    """The same loss and gradient as with a copy of the untouched base for a teacher."""
    batch = pack(encode(TRACES[:2], tiny.tokenizer))
    found = []
    for match in (module.Match(student, adapter=False), module.Match(copy.deepcopy(tiny.model))):
        student.zero_grad()
        loss = CompletionLoss(student, match)(**batch)
        loss.backward()
        gradients = [p.grad.clone() for p in student.parameters() if p.requires_grad]
        found.append((loss.item(), gradients))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5) and found[0][0] > 1
    assert len(found[0][1]) == len(found[1][1]) == 28  # A and B of seven matrices in two layers
    for own, other in zip(found[0][1], found[1][1]):
        torch.testing.assert_close(own, other)
    assert student.training


def check_weights_count(module, tiny, student, teacher):
    """Half the weight is half the loss, and a position of weight 0 has no say."""
    one, two = encode(TRACES[:2], tiny.tokenizer)
    half, none = ([w] * len(two.ids) for w in (0.5, 0.0))
    for objective in (module.next_token, module.Match(teacher, jsd)):
        loss = CompletionLoss(student.eval(), objective)
        alone = [loss(**pack([e])).item() for e in (one, two)]
        got = [loss(**pack([one, replace(two, weights=w)])).item() for w in (half, none)]
        assert got == pytest.approx([alone[0] + alone[1] / 2, alone[0]], rel=1e-4)


def check_the_default_is_cross_entropy(module, tiny, student, teacher):
    examples = encode(TRACES[:3], tiny.tokenizer)
    got = CompletionLoss(student, module.next_token)(**pack(examples)) / supervised(examples)
    assert got.item() == pytest.approx(student(**padded(examples)).loss.item(), rel=1e-5)


def test_the_mean_loss_is_that_of_the_model_itself_in_parts_of_any_size(tiny):
    examples = encode(TRACES[:4], tiny.tokenizer)
    theirs = tiny.model(**padded(examples)).loss.item()
    for tokens in (1, 4096):
        assert kit.mean_loss(tiny.model, examples, tokens) == pytest.approx(theirs, rel=1e-5)


def test_a_mean_of_nothing_is_refused(tiny):
    (example,) = encode(TRACES[:1], tiny.tokenizer)
    for nothing in ([], [replace(example, labels=[-100] * len(example.ids))]):
        with pytest.raises(ValueError, match="no examples, or every label is -100"):
            kit.mean_loss(tiny.model, nothing)


@pytest.mark.parametrize("frozen", [True, False])
def test_an_adapter_that_was_frozen_stays_frozen(tiny, student, frozen):
    student.requires_grad_(False)
    if not frozen:
        student.base_model.model.base_model.layers[0].self_attn.q_proj.lora_A.requires_grad_()
    before = [p.requires_grad for p in student.parameters()]
    kit.read_teacher(student, pack(encode(TRACES[:1], tiny.tokenizer)), adapter=False)
    assert [p.requires_grad for p in student.parameters()] == before
    assert any(before) is not frozen


@pytest.mark.parametrize("wrong", [
    soft_loss, lambda s, t, temperature: forward_kl(s, t, temperature)[:, None],
], ids=["a mean", "a column"])  # fmt: skip
def test_a_divergence_that_gives_no_number_for_each_position_is_refused(
    tiny, student, teacher, wrong
):
    batch = pack(encode(TRACES[:2], tiny.tokenizer))
    with pytest.raises(ValueError, match="one number a position, not a mean or a sum"):
        CompletionLoss(student, kit.Match(teacher, wrong, 2.0))(**batch)


def equations(n):
    """Traces with the template's prompt."""
    return [
        {
            "prompt": messages(p.text),
            "completion": [{"role": "assistant", "content": render_solution(p)}],
        }
        for p in make_problems(n, ("two-step", "brackets"), "train", 0)
    ]


def check_a_teacher_with_examples_reads_a_few_shot_prompt(module, tiny, student, teacher):
    """Second route: each text alone, behind the prompt that `messages` writes with examples."""
    shots, traces = SHOTS[:2], equations(3)
    rows = []
    for trace in traces:
        long = chat_text(tiny.tokenizer, messages(trace["prompt"][-1]["content"], shots=shots))
        (alone,) = encode([trace], tiny.tokenizer)
        own = [label for label in alone.labels if label != -100]
        prompt = tiny.tokenizer(long, add_special_tokens=False)["input_ids"]
        labels = [-100] * len(prompt) + own
        rows.append(said_one_by_one(tiny.model, [replace(alone, ids=prompt + own, labels=labels)]))
    batch, kept = pack(encode(traces, tiny.tokenizer)), {}
    beginning = module.solved_examples(tiny.tokenizer, shots=shots)
    for _ in range(2):  # the second time the examples are not read again
        said = module.read_teacher(tiny.model, batch, beginning=beginning, kept=kept)
        torch.testing.assert_close(said.logits_NV, torch.cat(rows), rtol=1e-4, atol=1e-4)
    other = pack(encode(equations(5)[3:], tiny.tokenizer))
    fresh = module.read_teacher(tiny.model, other, beginning=beginning)
    again = module.read_teacher(tiny.model, other, beginning=beginning, kept=kept)
    torch.testing.assert_close(again.logits_NV, fresh.logits_NV)


def check_a_teacher_that_ran_out_of_memory_reads_on(module, tiny, student, teacher):
    """Its layers had read the tree when the memory ended; half a tree is read next."""
    batch, kept = pack(encode(equations(3), tiny.tokenizer)), {}
    beginning = module.solved_examples(tiny.tokenizer, shots=SHOTS[:2])
    want = module.read_teacher(tiny.model, batch, beginning=beginning, kept=kept)

    def ends(*_):
        raise torch.OutOfMemoryError

    hook = tiny.model.model.norm.register_forward_hook(ends)
    with pytest.raises(torch.OutOfMemoryError):
        module.read_teacher(tiny.model, batch, beginning=beginning, kept=kept)
    hook.remove()
    again = module.read_teacher(tiny.model, batch, beginning=beginning, kept=kept)
    torch.testing.assert_close(again.logits_NV, want.logits_NV)


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items())
          if name.startswith("check_")}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_the_objectives_obey(tiny, student, teacher, name):
    CHECKS[name](kit, tiny, student, teacher)


MUTANTS = {
    "teacher in training mode": ("    teacher.eval()\n", "",
                                 "the_teacher_is_read_at_the_same_positions"),
    "teacher left in eval mode": ("teacher.train(before)", "pass",
                                  "the_teacher_stays_as_it_is"),
    "teacher keeps a graph": ("torch.no_grad()", "nullcontext()", "the_teacher_stays_as_it_is"),
    "adapter never off": ("nullcontext() if adapter else teacher.disable_adapter()",
                          "nullcontext()", "the_student_with_its_adapter_off_is_its_teacher"),
    "no T²": ("self.temperature**2 * ", "", "the_teacher_is_read_at_the_same_positions"),
    "T forgotten": ("said.logits_NV, self.temperature)", "said.logits_NV, 1.0)",
                    "the_teacher_is_read_at_the_same_positions"),
    "one place late": ("said.logits_NV, self", "said.logits_NV.roll(1, 0), self",
                       "the_teacher_is_read_at_the_same_positions"),
    "both of them are the student": ("said.logits_NV, self", "out.logits_NV, self",
                                     "the_teacher_is_read_at_the_same_positions"),
    "mean in place of a sum": ('(batch["weights_N"] * loss_N).sum()',
                               '(batch["weights_N"] * loss_N).mean()',
                               "the_teacher_is_read_at_the_same_positions"),
    "weights ignored by a divergence": ('(batch["weights_N"] * loss_N)', "loss_N",
                                        "weights_count"),
    "positions of the student's own prompt": (".clamp(min=0) + put", ".clamp(min=0) + cut",
                                              "a_teacher_with_examples_reads_a_few_shot_prompt"),
    "examples not seen": ("rest_LL.new_zeros(len(rest_LL), put)",
                          "rest_LL.new_full((len(rest_LL), put), -1e9)",
                          "a_teacher_with_examples_reads_a_few_shot_prompt"),
    "one place too far": ('batch["nodes_N"] - cut,', 'batch["nodes_N"] - cut + 1,',
                          "a_teacher_with_examples_reads_a_few_shot_prompt"),
    "weights ignored": ('(batch["weights_N"] * nll_N)', "nll_N", "weights_count"),
    "mean of the default": ("nll_N).sum()", "nll_N).mean()", "the_default_is_cross_entropy"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_objective_is_noticed(mutant, tiny, student, teacher, name):
    old, new, check = MUTANTS[name]
    with pytest.raises(AssertionError):
        CHECKS[check](mutant(kit, old, new), tiny, student, copy.deepcopy(teacher))


def test_in_16_bits_the_own_teacher_takes_nothing_from_the_gradient(tiny, student):
    """Autocast keeps 16-bit copies of weights; one that was made without a gradient has none."""
    batch = pack(encode(TRACES[:2], tiny.tokenizer))
    norms = []
    for precision in (torch.bfloat16, torch.float32):
        student.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            CompletionLoss(student, kit.Match(student, adapter=False))(**batch).backward()
        norms.append(torch.stack([p.grad.norm() for p in student.parameters() if p.requires_grad]))
    assert (norms[0] > 0).all()
    assert norms[0].tolist() == pytest.approx(norms[1].tolist(), rel=0.1)


def test_a_teacher_in_16_bits_reads_the_tree_of_a_student_in_32(tiny, student, teacher):
    batch = pack(encode(TRACES[:2], tiny.tokenizer))
    whole = CompletionLoss(student, kit.Match(teacher))(**batch).item()
    short = CompletionLoss(student, kit.Match(copy.deepcopy(teacher).bfloat16()))(**batch).item()
    assert short == pytest.approx(whole, rel=0.05) and short != whole


def shifted(model):
    """A copy with other weights of the same shapes."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.get_input_embeddings().weight.add_(0.5)
    return other


# --- a whole run ----------------------------------------------------------------------------------


def test_the_student_gets_nearer_to_its_teacher(fresh_tiny, teacher):
    match = kit.Match(teacher, temperature=2.0)
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, objective=match, rate=2e-2, epochs=20)
    assert run.log[-1]["loss"] < 0.7 * run.log[0]["loss"]


def test_an_objective_of_ones_own_matches_hidden_states(fresh_tiny):
    """What a pruned student does: the last layer's states of its parent, at the same nodes."""
    parent = copy.deepcopy(fresh_tiny.model)
    with torch.no_grad():
        fresh_tiny.model.base_model.layers[1].mlp.down_proj.weight.mul_(0.5)

    def states(out, batch):
        gap_NE = out.hidden_NE - kit.read_teacher(parent, batch).hidden_NE
        return (batch["weights_N"] * gap_NE.pow(2).mean(-1)).sum()

    run = train(fresh_tiny.model, fresh_tiny.tokenizer, objective=states, adapter=False, epochs=10)
    assert run.log[-1]["loss"] < 0.3 * run.log[0]["loss"]


def test_parts_of_a_batch_change_nothing_for_a_weighted_divergence(tiny, teacher):
    examples = [
        replace(e, weights=[0.1 + i % 3 for i in range(len(e.ids))])
        for e in encode(TRACES, tiny.tokenizer)
    ]
    one, many = (
        train(copy.deepcopy(tiny.model), tiny.tokenizer, examples, part_tokens=tokens,
              objective=kit.Match(teacher, reverse_kl))
        for tokens in (10_000, 1)
    )  # fmt: skip
    for whole, parts in zip(one.log, many.log):
        assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-4)
        assert parts["gradient"] == pytest.approx(whole["gradient"], rel=1e-3)


def test_a_stopped_run_with_a_teacher_goes_on_exactly(tiny, teacher, tmp_path):
    def again(**more):
        return train(copy.deepcopy(tiny.model), tiny.tokenizer, **more,
                     objective=kit.Match(teacher, partial(jsd, beta=0.3)))  # fmt: skip

    whole = again()
    again(out=tmp_path, on_step=control_c_at(3))
    run = again(out=tmp_path)
    assert losses(run) == losses(whole) and same_weights(weights(run), weights(whole))


@pytest.mark.parametrize(
    "other",
    [
        lambda t: kit.Match(t, partial(jsd, beta=0.4)),
        lambda t: kit.Match(t, reverse_kl),
        lambda t: kit.Match(t, partial(jsd, beta=0.3), temperature=2.0),
        lambda t: kit.Match(shifted(t), partial(jsd, beta=0.3)),
        lambda t: kit.next_token,
    ],
    ids=["beta", "divergence", "temperature", "teacher", "no teacher"],
)
def test_a_run_does_not_go_on_with_another_objective(tiny, teacher, tmp_path, other):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(2),
          objective=kit.Match(teacher, partial(jsd, beta=0.3)))  # fmt: skip
    with pytest.raises(ValueError, match="new folder"):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, objective=other(teacher))


def test_the_mark_of_an_objective_is_the_same_in_any_process(teacher):
    """A function's address is not, so no `repr` of one may be in it."""
    said = repr(kit.description(kit.Match(teacher, partial(jsd, beta=0.3))))
    assert " at 0x" not in said and "jsd" in said and "0.3" in said
    assert kit.description(kit.next_token) == "next_token"


# --- a teacher that sees solved examples ----------------------------------------------------------


def test_examples_are_shown_only_before_the_templates_own_prompts(tiny, student):
    beginning = kit.solved_examples(tiny.tokenizer, shots=SHOTS[:2])
    fitting = encode(equations(2), tiny.tokenizer)
    talk = {
        **equations(1)[0],
        "prompt": [{"role": "user", "content": "Tell me of a long day " * 9}],
    }
    (odd,) = encode([talk], tiny.tokenizer)
    assert kit.fits(beginning, fitting) and not kit.fits(beginning, [*fitting, odd])
    match = kit.Match(student, adapter=False, beginning=beginning)
    for wrong in ([odd], [*fitting, odd]):
        with pytest.raises(ValueError, match="does not begin with the template's instruction"):
            CompletionLoss(student, match)(**pack(wrong))
    assert student.training
    plain = kit.Match(student, adapter=False)
    assert kit.description(match) != kit.description(plain)


def test_without_examples_there_is_no_other_beginning(tiny):
    assert kit.solved_examples(tiny.tokenizer, shots=()) == ([], [])
