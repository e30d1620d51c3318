"""Bytes and seconds: memory of training, few bits, one card, other people's code, the recipe."""

from __future__ import annotations

from statistics import median

from benchmarks.report import parts
from benchmarks.report.parts import (
    PAIRED,
    WILSON,
    Rows,
    change,
    clock,
    distinct,
    gap,
    mean,
    median_range,
    noted,
    origin,
    percent,
    plain,
    rate,
    rate_of,
    rows,
    section,
    signed,
    table,
    values,
)
from distillkit.runtime.files import read_json

RUN = "python -m benchmarks."
RESULTS = "benchmarks/results/"
CARD = "data/card.csv"
WAYS = {  # of benchmarks.speed.ways
    "kit": "`python3 kit.py lab` in a fresh clone",
    "usb": "a copy of a USB folder, without any network (filling it is not counted)",
    "colab": "Colab's case: a lesson alone installs the kit beside packages that are there",
}


def memory() -> str:
    """The calculator's sum against measured peaks."""
    path = "data/memory.csv"
    found = rows(path)
    off = [int(r["formula_mb"]) / int(r["measured_mb"]) - 1 for r in found]
    lines = []
    for r, x in zip(found, off):
        peaks = f"{plain(r['measured_mb'])} | {plain(r['formula_mb'])} | {signed(100 * x, 1)} %"
        lines.append(f"{r['model']} | {r['dtype']} | {r['tokens']} | {peaks} | {r['machine']}")
    return section(
        "What memory training needs",
        origin(path, f"{RUN}speed.memory", "LoRA of rank 16"),
        table(
            "model | precision | tokens | measured, MB | the calculator says | off | machine", lines
        ),
        f"""`distillkit.training.memory` counts what a training step needs from a model's shape.
        Its sum lies within {plain(100 * max(map(abs, off)))} % of every peak on a CPU (every tensor
        alive at once, two models); libraries come on top.""",
    )


def held(way: str) -> str:
    """Say how the student's layers are held, from the name of a row of data/card.csv."""
    return {"LoRA": "bfloat16", "LoRA, 8-bit Adam": "bfloat16, 8-bit Adam",
            "LoRA in float16": "float16, loss scaled"}.get(way, way)  # fmt: skip


def few_bits() -> str:
    """16, 8 and 4 bits on a CPU."""
    cpu = "x86_64 CPU, 2 threads"
    found = rows(CARD, machine=cpu)
    lines = []
    for r in found:
        bytes_ = f"{plain(r['weights_gb'], 2)} | {plain(r['process_peak_gb'], 1)}"
        speeds = " | ".join(plain(r[f"{job}_tokens_per_second"]) for job in ("train", "answer"))
        lines.append(f"{held(r['way'])} | {bytes_} | {speeds} | {rate(r)}")
    first = found[0]
    return section(
        "Few bits on a CPU",
        origin(
            CARD,
            f"{RUN}speed.card --traces {first['traces']} --test {first['n']}",
            "seed 0, one run each",
            f"bitsandbytes {first['bitsandbytes']}",
            f"torch {first['torch']}",
            WILSON,
            machine=cpu,
        ),
        table(
            "the student's layers | weights, GB | process's peak, GB | training tokens/s "
            "| answering tokens/s | exact",
            lines,
        ),
        f"""Qwen-0.5B learns {first["traces"]} verified traces of the recorded teacher.  On this
        machine few bits do not lower the process's peak (libraries and loading come on top of the
        weights), and answers come more slowly.  So few answers cannot tell the accuracies
        apart.""",
        noted(
            """no 8-bit products either.  The layers' weights in int8 with one scale a row (turned
            back into float32 for each product, or multiplied as they are by `torch._int_mm`), the
            output head in float32; Qwen-0.5B, few-shot and greedy on 60 unseen equations, one run
            on two cores with AMX: float32 90 tokens/s and 78 % exact (66–87); bfloat16 196 and
            78 %; int8 weights only 75 and 77 %; int8 with one scale a token 157 and 77 %; with one
            scale for all activations 146 and 75 % (63–84).  None is faster than bfloat16, so the
            kit has none; `--quant` saves memory, not time."""
        ),
    )


def card() -> str:
    """LoRA and QLoRA on one card, also with less memory."""
    name = "NVIDIA H200"
    found = rows(CARD, machine=name)
    order = distinct(found, "way")
    caps = ("0", "8", "6", "4")
    found.sort(key=lambda r: (order.index(r["way"]), caps.index(r["cap_gb"]), r["parts"] != "auto"))
    lines = []
    for r in found:
        cap = "none" if r["cap_gb"] == "0" else r["cap_gb"]
        asked = "" if r["parts"] == "auto" else f", parts of {r['parts']} asked for"
        peaks = f"{plain(r['train_peak_gb'], 2)} | {plain(r['formula_gb'], 2)}"
        run = f"{r['largest_part']} | {peaks} | {r['train_seconds']} | {rate(r)}"
        lines.append(f"{held(r['way'])} | {cap}{asked} | {run}")
    off = [float(r["formula_gb"]) / float(r["train_peak_gb"]) - 1 for r in found]
    four = max(float(r["train_peak_gb"]) for r in found if r["way"] == "NF4")
    first = found[0]
    return section(
        "On a card",
        origin(
            CARD,
            f"{RUN}speed.card --student qwen2.5-coder-0.5b-instruct",
            "seed 0, one run each",
            f"driver {first['driver']}",
            f"torch {first['torch']}",
            f"bitsandbytes {first['bitsandbytes']}",
            WILSON,
            machine=name,
        ),
        table(
            "the student's layers | cap, GB | largest part, tokens | peak of training, GB "
            "| the calculator says | training, seconds | exact",
            lines,
        ),
        f"""Qwen-0.5B learns {first["traces"]} verified traces of the recorded teacher in batches of
        8.  A cap is what torch may allocate; without one, a whole batch is one part.  Every way
        trained with 4 GB or less; NF4 never took more than {plain(four, 1)} GB.  The calculator
        lies between {plain(-100 * min(off))} % below and {plain(100 * max(off))} % above these
        peaks.  One seed says nothing about which of them learns more: the same run in parts of
        another size differs by as much.  The H200 is no consumer card: the bytes carry over, the
        seconds do not.""",
        noted(
            """`python -m distillkit demo --student qwen2.5-coder-0.5b-instruct` on it (2026-11-26),
            weights there: 34 s from the command to the table, 13 s of them the job (loading 2,
            training 5, all answers 6), the rest importing libraries.  Few-shot 80 % (71–87) →
            distilled 92 % (85–96) of 100 unseen equations of the kinds it was taught; 48 % (36–61)
            and 48 % of 60 of other kinds."""
        ),
        noted(
            """`python -m benchmarks.speed.where_time_goes`: a training step of eight traces takes
            120–170 ms, of which the card computes 29.  The rest is Python and launches: 5,949 short
            kernels a step.  A part of them were PEFT's casts of every input to float32, which
            autocast undid; training leaves them out since.  Answering takes 8.4 ms a step for 100
            texts, 4.2 of them on the card.  The table above was measured before that; without the
            casts the same steps in bfloat16 keep 22 to 222 MB less (96 to 1,216 tokens), int8 and
            NF4 as much as before.  The peaks under "What memory training needs" were measured
            without them."""
        ),
        noted(
            """answering writes one token for every row at a time, several hundred short kernels; on
            a card the sampler replays them as one CUDA graph.  Eight answers of 64 tokens took
            0.36 s with and 1.25 s without (NF4: 0.49 and 1.73; LLM.int8() waits for the host and
            cannot be captured: 5.4)."""
        ),
    )


def sides(file: str) -> dict[str, list[dict]]:
    """Return the runs of a file of `benchmarks.speed` by side."""
    found: dict[str, list[dict]] = {}
    for run in read_json(parts.ROOT / RESULTS / file):
        found.setdefault(run["side"], []).append(run)
    return found


def speed() -> str:
    """Training and sampling beside other people's code."""
    to_90, training = sides("to_90.json"), sides("training.json")
    peers = {
        "trl": "TRL `SFTTrainer`",
        "trl-packed": "TRL, packed",
        "trl-no-checkpointing": "TRL without checkpointing",
    }

    def line(what: str, runs: dict, key: str, scale: float, digits: int, peer: str = "trl") -> str:
        ours, theirs = ([scale * run[key] for run in runs[side]] for side in ("ours", peer))
        both = f"{median_range(ours, digits)} | {peers[peer]} | {median_range(theirs, digits)}"
        times = median(ours) / median(theirs)
        times = "" if key == "last" else plain(1 / times if key == "to_90" else times, 2)
        return f"{what} | {both} | {times}"

    lines = [
        line("seconds of training until 90 % of 100 unseen are exact", to_90, "to_90", 1, 0),
        line("exact at the end of that run, %", to_90, "last", 100, 0),
        line("peak memory of that run, GB", to_90, "peak_bytes", 1e-9, 2),
    ]
    for what, key, scale, digits in (
        ("training tokens/s, 40 rows", "tokens_per_second", 1, 0),
        ("peak memory of 40 rows, GB", "peak_bytes", 1e-9, 2),
    ):
        lines += [line(what, training, key, scale, digits, peer) for peer in peers]
    lines += [sampled(case) for case in read_json(parts.ROOT / RESULTS / "sampling.json")]
    seeds = ", ".join(str(run["seed"]) for run in to_90["ours"])
    return section(
        "Speed beside other people's code",
        f"> `{RUN}speed.speed` → [`{RESULTS}*.json`](./) · two cores of an x86-64 machine with AMX "
        f"· {to_90['ours'][0]['dtype']} · Qwen-0.5B · seeds {seeds} · TRL 1.16, the same model, "
        "rows and LoRA settings · both sides in turn · median (range) · 2026-11-22",
        table("measure | distillkit | peer | its value | times", lines),
        """The rows are those of the demo of then: 128 traces and 32 general examples, 8 a step.
        Before the first step both sides hold the libraries, the weights in bfloat16 and the
        adapter with Adam's state.  TRL then saves by computing the activations twice
        (checkpointing); we keep them, and compute a batch in parts of at most 192 tokens.  The
        memory of the whole run holds the probes of accuracy, too, on both sides.""",
        noted(
            """the same commands on 2026-11-27 on two cores with AVX-512 in bfloat16 and without AMX
            (parts of 384 tokens, the loss a few positions at a time; seeds 0, 1, 2): 40 rows 263
            (255–300) tokens/s against 80 (79–84), packed 88 (85–91), without checkpointing 87
            (82–90), peaks 3.0, 3.5, 3.6 and 5.2 GB; the demo's 160 rows 301 (298–318) against 84
            (81–86), 90 % after 49 s (24–49) against 132 (84–137), exact at the end 95 % (94–96)
            against 93 % (92–93), peaks 3.4 and 4.3 GB.  The demo there, after the download, from
            the command to the table of 100 and 30 equations: 106 s (105–115), exact 95 % (94–95),
            the first equation that it could not solve before after 43 s (42–46), peak 3.6 GB.
            Writing there, 8 prompts 8 times each behind the few-shot prefix (`sampling_vs_generate
            --llama --runs 2 --prompts 8`): 231 and 240 tokens/s, `generate` 38 and 38, llama.cpp
            (xllamacpp 2026.10, Q8_0, 16 texts at once; a build for any processor) 70 and 74.  48
            equations are answered in 8.8 s (8.7–9.5, four times)."""
        ),
        noted(
            """the whole demo after the download took 2.6 minutes (2.5–2.7; exact after: 94 %,
            92–94, n = 48), three runs; the first version 9.7.  About 1.6 GB of the memory is there
            on both sides before the first step."""
        ),
        noted(
            """oneDNN, which does PyTorch's products on Intel processors, prepares code for every
            new size and keeps it.  Trees are filled up to a multiple of 32 tokens: in a run of 128
            traces that took the peak from 5.7 to 4.6 GB in float32, at the same speed."""
        ),
    )


def distilling() -> str:
    """On-policy distillation beside other people's code."""
    names = {"trl": "TRL `DistillationTrainer`", "ours": "distillkit"}
    runs = read_json(parts.ROOT / RESULTS / "distill_vs_trl.json")
    lines = [
        f"{names[run['side']]} | {run['steps']} | {plain(run['seconds'])} "
        f"| {plain(run['tokens_per_second'], 1)} | {plain(run['peak_gb'], 1)} "
        f"| {rate_of(round(run['exact'] * run['test']), run['test'])}"
        for run in runs
    ]
    theirs, ours, _ = runs
    times = plain(ours["tokens_per_second"] / theirs["tokens_per_second"], 1)
    return section(
        "On-policy distillation beside other people's code",
        f"> `{RUN}speed.distill_vs_trl` → [`{RESULTS}distill_vs_trl.json`](distill_vs_trl.json) "
        f"· two cores of an x86-64 machine with AMX · {ours['dtype']} · one run, sides in turn "
        f"· TRL 1.16 · n = {ours['test']} · {WILSON} · 2026-11-27",
        table("side | steps | s | sampled tokens/s | peak memory, GB | exact afterwards", lines),
        f"""Qwen-0.5B after 16 verified traces ({percent(ours["exact_before"])} % exact) learns on
        its own texts from a second one that has learned 128 ({percent(ours["teacher"])} %):
        reverse KL, batches of 8, the same LoRA and rate; the last line is ours in as many seconds
        as TRL took.  {times} times the tokens a second.  TRL saves by computing the activations
        twice, and samples with `generate`.""",
        noted(
            """TRL's GKD trainer was stopped after 12 minutes: it had not ended the same 6 steps."""
        ),
    )


def sampled(case: dict) -> str:
    """Return the line of a case of `benchmarks.speed.sampling_vs_generate`."""
    times = [ours / theirs for ours, theirs in zip(case["ours"], case["generate"], strict=True)]
    both = f"{median_range(case['ours'])} | `generate` | {median_range(case['generate'])}"
    what = f"sampled tokens/s, {case['case']}, {case['prompts']} prompts"
    return f"{what} | {both} | {median_range(times, 1)}"


def sampling_card() -> str:
    """The sampler beside `generate` on a card."""
    file = f"{RESULTS}sampling_card.json"
    agree, *cases = read_json(parts.ROOT / file)
    return section(
        "Sampling on a card",
        f"> `{RUN}speed.sampling_vs_generate --runs {len(cases[0]['ours'])} --agree {agree['of']}` "
        f"→ [`{file}`](../../{file}) · {agree['machine']} · {agree['dtype']} · Qwen-0.5B · median "
        "(range); the first run warms `generate` up",
        table("measure | distillkit | peer | its value | times", map(sampled, cases)),
        f"""{agree["same"]} of {agree["of"]} greedy texts are the same; the others part where the
        two tokens lie {plain(min(agree["gaps"]), 3)} to {plain(max(agree["gaps"]), 3)} nats
        apart.""",
    )


def busy() -> str:
    """Threads that spin and threads that sleep, alone and beside another program."""
    file = f"{RESULTS}busy.json"
    found = read_json(parts.ROOT / file)
    lines = []
    for cores, way in dict.fromkeys((r["busy_cores"], r["way"]) for r in found["rows"]):
        own = [r for r in found["rows"] if (r["busy_cores"], r["way"]) == (cores, way)]
        training = median_range([r["train_tokens_per_s"] for r in own])
        answering = median_range([r["answer_s"] for r in own])
        lines.append(f"{cores} of {found['cores']} | {way} | {training} | {answering}")
    runs = len({r["run"] for r in found["rows"]})
    return section(
        "On a busy machine",
        f"> `{RUN}speed.busy --runs {runs}` → [`{file}`](../../{file}) · x86_64 CPU, "
        f"{found['cores']} cores · bfloat16 · Qwen-0.5B · {runs} runs in turn · median (range)",
        table(
            "cores that another program keeps busy | threads that wait | training tokens/s "
            "| seconds to answer 24 equations",
            lines,
        ),
        """OpenMP's threads spin while they wait.  Alone that costs nothing; beside a program that
        keeps one core busy it does, so there the kit lets them sleep
        (`distillkit.runtime.busy`).""",
    )


def products() -> str:
    """MKL's reproducible mode on an AMD processor: products, training, answering."""
    file = f"{RESULTS}products.json"
    found = read_json(parts.ROOT / file)
    ways = distinct(found["rows"], "way")
    what = [*((f"GFLOP/s, {name}", lambda r, n=name: r["gflops"][n])
              for name in found["rows"][0]["gflops"]),
            ("training tokens/s", lambda r: r["train_tokens_per_s"]),
            ("seconds to answer 24 equations", lambda r: r["answer_s"])]  # fmt: skip
    lines = []
    for name, of in what:
        both = [[of(r) for r in found["rows"] if r["way"] == way] for way in ways]
        times = [ours / theirs for theirs, ours in zip(*both, strict=True)]
        lines.append(" | ".join([name, *map(median_range, both), median_range(times, 2)]))
    runs = len({r["run"] for r in found["rows"]})
    return section(
        "Float32 on an AMD processor",
        f"> `{RUN}speed.products --runs {runs}` → [`{file}`](../../{file}) · {found['processor']} "
        f"(AVX2, no AVX-512) · {found['cores']} cores · float32 · Qwen-0.5B · {runs} runs in turn "
        "· median (range) · times: paired",
        table(f"measure | {' | '.join(ways)} | times", lines),
        """PyTorch's float32 products are MKL's.  On an AMD processor the kit asks MKL for its
        reproducible mode (`MKL_CBWR=AUTO`, in `dk.start()`), where it does not choose between
        ways of computing the same product; your own `MKL_CBWR` wins.  Rows are texts that are
        written together, or tokens of a part of a training step; up, down and head are matrices of
        the student.  As expected before the run (0.75), answers take 0.74 times as long; what
        training gains (expected: 0.9) is not shown.  Processors of other makers are left as they
        are.""",
        noted(
            """`python3 kit.py demo --test 100` on it, seed 0, after the download, one run each
            (2026-11-28): 570 s as MKL chooses, 494 s with the kit's choice, of them all answers 312
            and 254 s, training with its questions in between 254 and 237 s (61 tokens/s both
            times).  The answers are the same: 97 of 100."""
        ),
    )


def ways() -> str:
    """Minutes from nothing to a lesson's first executed cell, and the memory of two learners."""
    path = f"{RESULTS}ways.csv"
    found = {row["way"]: row for row in rows(path)}
    lines = [f"{words} | {clock(found[way]['value'])}"
             for way, words in WAYS.items() if way in found]  # fmt: skip
    hub = found["hub"]
    return section(
        "Ways to start",
        origin(path, "python -m benchmarks.speed.ways"),
        table("with | from nothing to the first executed cell of lesson 01", lines),
        f"""Each way has an empty folder and empty caches of its own; the package index is a near
        one, so a slow line comes on top.  Two learners on one machine with one read-only folder
        (`prefetch --dtype bfloat16`): the larger of their processes has {plain(hub["value"])} MB of
        private memory after an answer of the 0.5B student.  uv and Binder's file ask PyTorch's own
        index, which this machine cannot reach; they, a devcontainer, Binder and Colab themselves,
        Windows and macOS were not run.""",
        noted("""the same with the kit's converted cache, float32 that each process turns into
        bfloat16 for itself: 1,429 MB."""),
    )


def ablation() -> str:
    """What each change to the recipe does alone."""
    path = "data/ablation_training.csv"
    told = {
        "20 % general data": ("20 % general examples besides",
                              "then yes; not in the demo since 2026-11-28"),
        "half the traces twice": ("half the traces twice", "no"),
        "upper half of the layers": ("adapter on the upper half of the layers",
                                     "as an option, `lora(layers=…)`"),
        "three times as many both-sides": ("both-sides equations three times as often",
                                           "yes, from an earlier run that this does not confirm"),
        "batch 4": ("batches of 4 in place of 8", "then no; in the demo since 2026-11-28"),
        "batch 4 + upper half + more both-sides": ("the last three together", "no"),
        "rate 1e-3": ("rate 1e-3 in place of 5e-4", "no"),
        "sequences apart": ("nothing shared between examples", "no"),
    }  # fmt: skip
    base = rows(path, change="base")

    def tokens(found: Rows) -> float:
        return sum(values(found, "computed_tokens", 1)) / sum(values(base, "computed_tokens", 1))

    lines = []
    for name, (words, kept) in told.items():
        own = rows(path, change=name)
        right = change(gap(base, own), 1, bold=True)
        seconds = change(gap(base, own, "train_seconds", 1), 1, bold=True)
        more = f"{signed(100 * (tokens(own) - 1))} %"
        lines.append(f"{words} | {right} | {seconds} | {more} | {kept}")
    apart = tokens(rows(path, change="sequences apart"))
    return section(
        "What else was tried on the recipe",
        origin(path, f"{RUN}experiments.ablation", PAIRED),
        table("change | right in 100 | seconds | tokens computed | kept", lines),
        f"""64 traces, one change at a time; the recipe gives {mean(values(base))} right answers in
        100 and takes {mean(values(base, "train_seconds", 1))} seconds.  Three seeds leave wide
        intervals: only the bold changes can be claimed.  The prefix tree, in which a shared
        beginning is there once, saves {percent(1 - 1 / apart)} % of the tokens.""",
    )
