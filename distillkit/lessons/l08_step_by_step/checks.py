"""The exercises on two tasks: what each mode learns, what it weighs, and where it is counted.

Dimension key: L tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.training.losses import IGNORE

Pair = tuple[str, str]  # what is asked, what is learned

# --- what is trained on in which mode -------------------------------------------------------------


def _two_texts(question: str, rationale: str, label: str) -> list[Pair]:
    """Return (prompt, completion) of the label's task and of the rationale's."""
    return [
        (f"{question}\nResult:", f"<answer>{label}</answer>"),
        (f"{question}\nSteps:", f"<think>\n{rationale}\n</think>"),
    ]


def _wrong_texts(kind: str):
    def wrong(question: str, rationale: str, label: str) -> list[Pair]:
        (ask_label, label_text), (ask_steps, steps_text) = _two_texts(question, rationale, label)
        return {
            "both in label mode": [(ask_label, f"{steps_text}\n{label_text}"),
                                   (ask_steps, steps_text)],
            "label in the steps": [(ask_label, label_text),
                                   (ask_steps, f"{steps_text}\n{label_text}")],
            "one prompt": [(question, label_text), (question, steps_text)],
            "same word": [(ask_label, label_text), (ask_label, steps_text)],
            "word first": [(f"Result:\n{question}", label_text),
                           (f"Steps:\n{question}", steps_text)],
            "rationale given": [(f"{question}\n{rationale}\nResult:", label_text),
                                (ask_steps, steps_text)],
            "bare": [(ask_label, label), (ask_steps, rationale)],
            "one text": [(ask_label, f"{steps_text}\n{label_text}")],
            "swapped": [(ask_label, steps_text), (ask_steps, label_text)],
            "other order": [(ask_steps, steps_text), (ask_label, label_text)],
        }[kind]  # fmt: skip

    return wrong


two_texts = Exercise(
    "two_texts",
    reference=_two_texts,
    probes=[
        ("Solve for x: 2x = 6", "x = 6 / 2\nx = 3", "x = 3"),
        ("Is this right or wrong?\nx + 1 = 3\nx = 4", "4 + 1 = 5\n5 is not 3", "wrong"),
    ],
    hints=(
        "What may a student write after 'Result:' if it must not take long?",
        "Two pairs. Each prompt is the question, a line break, and one word with a colon. The "
        "label stands in <answer> tags, the rationale on lines of its own in <think> tags.",
        'first = (f"{question}\\nResult:", f"<answer>{label}</answer>")',
    ),
    mistakes=[
        Mistake(
            "the rationale is learned in label mode, too: then the student writes it before every "
            "answer, and nothing is saved",
            _wrong_texts("both in label mode"),
        ),
        Mistake(
            "the label is learned a second time, behind the rationale: its share of the loss is "
            "then no longer alpha",
            _wrong_texts("label in the steps"),
        ),
        Mistake(
            "both tasks have the same prompt: the student cannot know which one is meant",
            _wrong_texts("one prompt"),
        ),
        Mistake(
            "both prompts end in the same word: the student cannot know which task is meant",
            _wrong_texts("same word"),
        ),
        Mistake(
            "the word stands before the question: then the two tasks share nothing, and the "
            "question is computed twice",
            _wrong_texts("word first"),
        ),
        Mistake(
            "the rationale stands in the prompt of the label: at test time nobody has it",
            _wrong_texts("rationale given"),
        ),
        Mistake(
            "the tags are missing: <answer>…</answer> round the label, <think> and </think> on "
            "lines of their own round the rationale",
            _wrong_texts("bare"),
        ),
        Mistake("this is one text: two tasks are two pairs", _wrong_texts("one text")),
        Mistake(
            "each task learns the other one's text: after 'Result:' stands the label",
            _wrong_texts("swapped"),
        ),
        Mistake(
            "the rationale's task stands first: the label's is asked for first",
            _wrong_texts("other order"),
        ),
    ],
)

# --- how much each token weighs -------------------------------------------------------------------


def _token_weights(label: int, rationale: int, alpha: float) -> tuple[float, float]:
    """Return the weight of one label token and of one rationale token."""
    return alpha / label, (1 - alpha) / rationale


def _wrong_weights(kind: str):
    def wrong(label: int, rationale: int, alpha: float) -> tuple[float, float]:
        return {
            "plain": (alpha, 1 - alpha),
            "equal": (1.0, 1.0),
            "mean of all": (1 / (label + rationale), 1 / (label + rationale)),
            "swapped": ((1 - alpha) / label, alpha / rationale),
            "same alpha": (alpha / label, alpha / rationale),
            "by all": (alpha / (label + rationale), (1 - alpha) / (label + rationale)),
            "sums": (alpha, (1 - alpha) * label / rationale),
        }[kind]

    return wrong


token_weights = Exercise(
    "token_weights",
    reference=_token_weights,
    probes=[(4, 60, 0.5), (6, 30, 0.8), (3, 90, 0.1), (10, 11, 0.5)],
    hints=(
        "If a label has 4 tokens and its weights are to sum to 0.5, what does one of them weigh?",
        "The label's tokens share alpha, the rationale's tokens share what is left.",
        "label_weight = alpha / label",
    ),
    mistakes=[
        Mistake(
            "the shares are not divided by the number of tokens: a rationale of 60 tokens would "
            "still weigh far more than a label of 4",
            _wrong_weights("plain"),
        ),
        Mistake(
            "every token counts the same: that is ordinary training, and alpha does nothing",
            _wrong_weights("equal"),
        ),
        Mistake(
            "this is one mean over all tokens: alpha does nothing",
            _wrong_weights("mean of all"),
        ),
        Mistake("alpha belongs to the label, 1 − alpha to the rationale",
                _wrong_weights("swapped")),
        Mistake("both get alpha: the rationale's share is 1 − alpha",
                _wrong_weights("same alpha")),
        Mistake("each share is divided by the number of *all* tokens: divide it by its own",
                _wrong_weights("by all")),
        Mistake(
            "the ratio is right, and the weights of an example do not sum to 1: then a long label "
            "makes an example count more",
            _wrong_weights("sums"),
        ),
    ],
)  # fmt: skip

# --- find the bug: which tokens are foretold rightly ----------------------------------------------


def _token_accuracy(logits_LV: Tensor, labels_L: Tensor) -> float:
    """Return the share of learned tokens that were foretold rightly."""
    guesses, labels = logits_LV[:-1].argmax(-1), labels_L[1:]
    learned = labels != IGNORE
    return (guesses[learned] == labels[learned]).float().mean().item()


def _wrong_accuracy(kind: str):
    def wrong(logits_LV: Tensor, labels_L: Tensor) -> float:
        guesses, labels = logits_LV.argmax(-1), labels_L
        if kind == "other way":
            guesses, labels = guesses[1:], labels[:-1]
        elif kind != "no shift":
            guesses, labels = guesses[:-1], labels[1:]
        hits = guesses == labels
        if kind == "prompt":
            return hits.float().mean().item()
        if kind == "count":
            return float(hits.sum())
        return hits[labels != IGNORE].float().mean().item()

    return wrong


def _accuracy_probes() -> list[tuple[Tensor, Tensor]]:
    probes = []
    for seed in range(4):
        numbers = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 5, (12,), generator=numbers)
        logits = torch.randn(12, 5, generator=numbers)
        logits[torch.arange(9), labels[1:10]] += 2.0  # good at the next token
        labels[: 4 + seed] = IGNORE
        probes.append((logits, labels))
    return probes


token_accuracy = Exercise(
    "token_accuracy",
    reference=_token_accuracy,
    probes=_accuracy_probes,
    hints=(
        "Which token do the logits at place 3 speak of?",
        "The logits at a place belong to the label one place later, so the last logits and the "
        "first label have no partner. Places with -100 do not count.",
        "guesses, labels = logits_LV[:-1].argmax(-1), labels_L[1:]",
    ),
    mistakes=[
        Mistake(
            "this is the bug itself: the logits at a place speak of the *next* token",
            _wrong_accuracy("no shift"),
        ),
        Mistake("the shift goes the wrong way: logits[:-1] belong to labels[1:]",
                _wrong_accuracy("other way")),
        Mistake("places with -100 are counted as wrong: leave the prompt out",
                _wrong_accuracy("prompt")),
        Mistake("this is how many are right: divide by how many are learned",
                _wrong_accuracy("count")),
    ],
)  # fmt: skip
