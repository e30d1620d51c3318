"""The exported student in llama.cpp: the words of transformers?  How fast, in how much memory?

    pip install "distillkit[serve]"
    python -m benchmarks.speed.served_forms same [--only q8_0 bf16] [--n 100]
    python -m benchmarks.speed.served_forms speed [--only q8_0 q4_0 teacher] [--n 24]

`same` is no timing: unseen equations are answered greedily by llama.cpp, through its own server and
the kit's client, and by transformers with the same rounded weights in float32.  Where the texts
part, transformers reads both: at which token, and how much more likely is the one it took?
Appends to `data/served_same.csv` and `data/served_differences.csv`; answers are journaled, so a
stopped run goes on.

`speed` needs a quiet machine: tokens a second alone and eight at once, the largest resident memory
of the serving process, seconds (and joules, where Linux lets them be read) per 1,000 answers, of
the student's forms and of the teacher with its six solved examples (8 bits).  Appends to
`data/served_speed.csv`; what is there is not measured again.
"""

import argparse
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import gguf
import torch

from benchmarks.runner import DATA, RUNS, append, scored
from distillkit.evaluation.scoring import evaluate, score
from distillkit.models.chats import chat_text, token_ids
from distillkit.models.gguf_writer import round_weights, write_gguf
from distillkit.models.loading import load
from distillkit.pipeline.demo import read_run
from distillkit.pipeline.export import merged
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path, processor
from distillkit.traces.server_teacher import Server
from distillkit.traces.templates import SHOTS, messages
from distillkit.training.lora import READY

SAME, SPEED = DATA / "served_same.csv", DATA / "served_speed.csv"
DIFFERENCES = DATA / "served_differences.csv"
FOLDER = RUNS / "served"  # files and journals
LIMIT, SLOTS, ALONE = 256, 8, 4  # tokens of an answer; at once; equations asked one at a time
TEACHER, TEACHER_KIND = "teacher", "q8_0"
ENERGY = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def student():
    """Return the student that comes with the kit, merged, in float32."""
    folder = data_path(READY)
    return merged(folder, read_run(folder))


def file_of(form):
    """Return the GGUF file of a form; writes it once."""
    path = FOLDER / f"{form}.gguf"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        loaded = load("qwen2.5-coder-1.5b-instruct") if form == TEACHER else student()
        half = path.with_suffix(".half")
        kind = TEACHER_KIND if form == TEACHER else form
        write_gguf(loaded.model, loaded.tokenizer, half, kind, {})
        half.replace(path)
    return path


def true_bits(path):
    """Return the bits a weight of a file."""
    tensors = gguf.GGUFReader(path).tensors
    return 8 * sum(int(t.n_bytes) for t in tensors) / sum(int(t.n_elements) for t in tensors)


def serve(path, slots):
    """Start llama.cpp's server in this process, with room for `slots` answers at once."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = 1536 * slots, slots
    params.cpuparams.n_threads = torch.get_num_threads()
    return xllamacpp.Server(params)


def same(form, n):
    """Compare greedy texts; returns a row, and a row for each text that differs."""
    problems, path = make_problems(n, NARROW, "test", TEST_SEED), file_of(form)
    server = serve(path, 4)
    client = Server("student", f"{server.listening_address}/v1", shots=(), max_new_tokens=LIMIT,
                    parallel=4, timeout=3600)  # fmt: skip
    # The address is another one each time, and a journal remembers it
    client.base_url = f"llama.cpp, {form}"
    theirs = client.sample(problems, 1, 0.0, journal=FOLDER / f"{form}_llama.jsonl")
    del server
    loaded = student()
    round_weights(loaded.model, form)
    ours = evaluate(loaded.model, loaded.tokenizer, problems, max_new_tokens=LIMIT, width=25,
                    journal=FOLDER / f"{form}_transformers.jsonl")  # fmt: skip
    marks = [score(row["text"], row["finish"], problem.answer)["exact"]
             for row, problem in zip(theirs, problems, strict=True)]  # fmt: skip
    apart = [
        {"form": form, "id": problem.id, "transformers_exact": a["exact"], "llama_cpp_exact": mark,
         **parting(loaded, problem, a["text"].strip(), b["text"].strip())}
        for problem, a, b, mark in zip(problems, ours, theirs, marks, strict=True)
        if a["text"].strip() != b["text"].strip()
    ]  # fmt: skip
    counts = scored(ours)
    return {
        "form": form, "n": n, "same": n - len(apart),
        **{name: counts[name] for name in ("exact", "low", "high")},
        "theirs_exact": round(sum(marks) / n, 4), "machine": processor(),
        "threads": torch.get_num_threads(), "date": date.today().isoformat(),
    }, apart  # fmt: skip


@torch.inference_mode()
def parting(loaded, problem, ours, theirs):
    """Say where two texts part, and what transformers thinks of both tokens there."""
    model, tokenizer = loaded.model, loaded.tokenizer
    prompt = token_ids(tokenizer, chat_text(tokenizer, messages(problem.text)))
    a, b = ([*token_ids(tokenizer, text), tokenizer.eos_token_id] for text in (ours, theirs))
    at = next(i for i, (x, y) in enumerate(zip(a, b)) if x != y)
    logits_V = model(torch.tensor([prompt + a[:at]])).logits[0, -1].float()
    return {
        "token": at, "transformers": tokenizer.decode([a[at]]),
        "llama_cpp": tokenizer.decode([b[at]]),
        "margin": round((logits_V[a[at]] - logits_V[b[at]]).item(), 4),
        "rank": 1 + int((logits_V > logits_V[b[at]]).sum()),
    }  # fmt: skip


def joules():
    """Return what the processor has used so far, None where that cannot be read."""
    try:
        return int(ENERGY.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def speed(form, n):
    """Time one form, in a process of its own: the caller's."""
    from distillkit.runtime.session import peak_memory_bytes

    path = file_of(form)
    shots = SHOTS if form == TEACHER else ()
    problems = make_problems(n, NARROW, "test", TEST_SEED)
    server = serve(path, SLOTS)

    def ask(some, parallel):
        client = Server("student", f"{server.listening_address}/v1", shots=shots,
                        max_new_tokens=LIMIT, parallel=parallel, timeout=3600)  # fmt: skip
        began, before = time.perf_counter(), joules()
        rows = client.sample(some, 1, 0.0)
        used = joules() - before if before is not None else None
        return rows, time.perf_counter() - began, used

    ask(problems[:1], 1)  # the first one fills caches
    alone, alone_seconds, _ = ask(problems[1 : 1 + ALONE], 1)
    rows, seconds, used = ask(problems, SLOTS)
    answers = [score(row["text"], row["finish"], problem.answer) | {"tokens": row["tokens"]}
               | {"finish": row["finish"]}
               for row, problem in zip(rows, problems, strict=True)]  # fmt: skip
    counts = scored(answers)
    tokens = sum(row["tokens"] for row in rows)
    return {
        "form": form, "megabytes": round(path.stat().st_size / 1e6),
        "true_bits": round(true_bits(path), 2),
        **{name: counts[name] for name in ("n", "exact", "low", "high", "answer_tokens")},
        "tokens_alone": round(sum(row["tokens"] for row in alone) / alone_seconds, 1),
        "tokens_at_once": round(tokens / seconds, 1),
        "seconds_per_1000": round(1000 * seconds / n),
        "joules_per_1000": "" if used is None else round(1000 * used / n),
        "peak_mb": round(peak_memory_bytes() / 1e6), "threads": torch.get_num_threads(),
        "machine": processor(), "date": date.today().isoformat(),
    }  # fmt: skip


def main():
    """Measure what is missing, one form after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("same", "speed"))
    parser.add_argument("--only", nargs="+", help="some of the forms")
    parser.add_argument("--n", type=int, help="equations (100; speed: 24)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    table = SAME if options.what == "same" else SPEED
    there = {row["form"] for row in read_csv(table)} if table.exists() else set()
    forms = options.only or (["q8_0", "bf16"] if options.what == "same" else
                             ["bf16", "q8_0", "q5_0", "q4_k", "q4_0", TEACHER])  # fmt: skip
    if options.alone:
        row = speed(*forms, options.n)
        append(SPEED, list(row), [row])
        return
    for form in [form for form in forms if form not in there]:
        if options.what == "same":
            row, apart = same(form, options.n or 100)
            if apart:
                append(DIFFERENCES, list(apart[0]), apart)
            append(SAME, list(row), [row])
            print(row, *apart, sep="\n", flush=True)
        else:
            file_of(form)  # here: what writes it needs more memory than what serves it
            words = ["speed", "--only", form, "--n", str(options.n or 24), "--alone"]
            subprocess.run([sys.executable, "-m", "benchmarks.speed.served_forms", *words],
                           check=True)  # fmt: skip
            print(read_csv(SPEED)[-1], flush=True)


if __name__ == "__main__":
    main()
