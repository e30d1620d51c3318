"""Record the teacher of `data/`: candidates, answers to the test equations, general examples.

    python benchmarks/record_teacher.py [candidates] [test] [general]

Takes about 45 minutes on two CPU cores; a stopped run goes on where it was.
"""

import sys
from pathlib import Path

from distillkit.equations import NARROW, OUT_OF_DISTRIBUTION, SMALL, make_problems
from distillkit.evaluation import evaluate
from distillkit.recipes import TEST_SEED
from distillkit.records import write_jsonl
from distillkit.report import TEACHER_ANSWERS
from distillkit.sampling import sample
from distillkit.teachers import RECORDED, Local
from distillkit.templates import SHOTS, chat_text

DATA = Path(__file__).resolve().parent.parent / "data"
MODEL = "qwen2.5-coder-1.5b-instruct"
SYSTEM = "You are a helpful assistant."
SEED, K, TEMPERATURE = 0, 4, 0.7


def show(row: dict) -> None:
    """Print one line a candidate."""
    print(row["id"], row["tokens"], "tokens", flush=True)


def record_candidates(teacher: Local) -> None:
    """Four candidates for each of 300 training equations."""
    problems = make_problems(300, SMALL, "train", seed=7)
    teacher.sample(problems, K, TEMPERATURE, SEED, DATA / RECORDED, show)


def record_test(teacher: Local) -> None:
    """One greedy few-shot answer for each test equation: the teacher's own accuracy."""
    test = make_problems(100, NARROW, "test", TEST_SEED)
    ood = make_problems(60, OUT_OF_DISTRIBUTION, "ood", TEST_SEED, avoid=test)
    evaluate(teacher.model, teacher.tokenizer, [*test, *ood], shots=SHOTS, width=128,
             journal=DATA / TEACHER_ANSWERS, on_done=show)  # fmt: skip


def record_general(teacher: Local) -> None:
    """One answer for each general prompt; unfinished ones are left out."""
    prompts = Path(__file__).with_name("general_prompts.txt").read_text().splitlines()
    chats = [[{"role": "system", "content": SYSTEM}, {"role": "user", "content": p}]
             for p in prompts]  # fmt: skip
    texts = [chat_text(teacher.tokenizer, chat) for chat in chats]
    answers = sample(teacher.model, teacher.tokenizer, texts, temperature=TEMPERATURE, seed=SEED,
                     max_new_tokens=96, width=len(texts))  # fmt: skip
    rows = [
        {
            "id": f"general-{number:03d}",
            "prompt": chat,
            "completion": [{"role": "assistant", "content": answer.text.strip()}],
            "teacher": teacher.name,
            "source": teacher.source,
            "sha256": teacher.sha256,
        }
        for number, (chat, [answer]) in enumerate(zip(chats, answers, strict=True))
        if answer.finish == "eos" and answer.text.strip()
    ]
    write_jsonl(DATA / "general.jsonl", rows)
    print(f"{len(rows)} of {len(prompts)} general answers kept")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["candidates", "test", "general"]
    local = Local.load(MODEL, width=128)
    for name in wanted:
        globals()[f"record_{name}"](local)
