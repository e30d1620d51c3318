"""Record the teacher of `data/`: candidates, answers to the test equations, general examples.

    python -m benchmarks.recordings.record_teacher [--only candidates test general count]

Takes about 45 minutes on two CPU cores; a stopped run goes on where it was (its journals are in
`runs/recordings/`: remove them to start anew).  `count` needs no model: it prints exact answers by
family, pass@4, tokens and the funnel of what is recorded.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from benchmarks.runner import DATA, RUNS
from distillkit.evaluation.scoring import evaluate
from distillkit.evaluation.statistics import wilson
from distillkit.generation.sampler import sample
from distillkit.models.chats import chat_text
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.pipeline.report import TEACHER_ANSWERS
from distillkit.problems.equations import NARROW, OUT_OF_DISTRIBUTION, SMALL, make_problems
from distillkit.runtime.files import write_jsonl
from distillkit.traces.filters import judge, pass_at_k, reject
from distillkit.traces.teachers import RECORDED, Local, Recorded
from distillkit.traces.templates import SHOTS

MODEL = "qwen2.5-coder-1.5b-instruct"
JOURNALS = RUNS / "recordings"
PROMPTS = Path(__file__).with_name("general_prompts.txt")
SYSTEM = "You are a helpful assistant."
SEED, K, TEMPERATURE = 0, 4, 0.7


def show(row: dict) -> None:
    """Print one line a candidate."""
    print(row["id"], row["tokens"], "tokens", flush=True)


def record_candidates(teacher: Local) -> None:
    """Four candidates for each of 300 training equations."""
    problems = make_problems(300, SMALL, "train", seed=7)
    rows = teacher.sample(problems, K, TEMPERATURE, SEED, JOURNALS / RECORDED, show)
    write_jsonl(DATA / RECORDED, rows)


def record_test(teacher: Local) -> None:
    """One greedy few-shot answer for each test equation: the teacher's own accuracy."""
    test = make_problems(100, NARROW, "test", TEST_SEED)
    ood = make_problems(60, OUT_OF_DISTRIBUTION, "ood", TEST_SEED, avoid=test)
    rows = evaluate(teacher.model, teacher.tokenizer, [*test, *ood], shots=SHOTS, width=128,
                    journal=JOURNALS / TEACHER_ANSWERS, on_done=show)  # fmt: skip
    write_jsonl(DATA / TEACHER_ANSWERS, rows)


def record_general(teacher: Local) -> None:
    """One answer for each general prompt; unfinished ones are left out."""
    prompts = PROMPTS.read_text(encoding="utf-8").splitlines()
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


def count() -> None:
    """Print a Markdown table of exact answers and pass@4, the funnel, and tokens."""
    teacher = Recorded()
    rows = teacher.sample(teacher.problems())
    right = defaultdict(lambda: defaultdict(list))
    for row in rows:
        verdict = judge(row)
        good = not verdict["template"] and not verdict["correct"] and not verdict["finished"]
        right[row["problem"]["family"]][row["problem"]["id"]].append(good)
    print("| family | problems | exact, % (95 % Wilson) | pass@4, % |\n|---|---|---|---|")
    for family, problems in right.items():
        flags = [flag for found in problems.values() for flag in found]
        share, (low, high) = sum(flags) / len(flags), wilson(sum(flags), len(flags))
        best = sum(pass_at_k(len(f), sum(f), 4) for f in problems.values()) / len(problems)
        print(f"| {family} | {len(problems)} | {100 * share:.0f} "
              f"({100 * low:.0f}–{100 * high:.0f}) | {100 * best:.0f} |")  # fmt: skip
    tokens, seconds = sum(r["tokens"] for r in rows), sum(r["seconds"] for r in rows)
    print(f"\n{len(rows)} candidates, {tokens} tokens, {seconds / 60:.0f} min of computing, "
          f"{tokens / seconds:.0f} tokens/s")  # fmt: skip
    _, funnel = reject(rows)
    print(funnel)
    print(f"{funnel.problems_kept} of {funnel.problems} problems have a verified solution")


JOBS = {"candidates": record_candidates, "test": record_test, "general": record_general}


def main() -> None:
    """Do what was asked for; the teacher is loaded only to record."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", nargs="+", choices=[*JOBS, "count"], default=[*JOBS, "count"])
    options = arguments.parse_args()
    wanted = [name for name in JOBS if name in options.only]
    teacher = Local(asked=MODEL, width=128).load() if wanted else None
    for name in wanted:
        JOBS[name](teacher)
    if "count" in options.only:
        count()


if __name__ == "__main__":
    main()
