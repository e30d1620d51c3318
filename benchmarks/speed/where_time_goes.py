"""Where do the seconds of training and answering go: kernels, launches, Python?

    python -m benchmarks.speed.where_time_goes [--student NAME] [--steps 8]

Trains steps of eight recorded traces and writes texts for 100 equations, once without and once
under torch's profiler.  Prints, for each, the milliseconds a step by the clock, how many of them
the device computed, how many kernels it was given, and the kernels and operations that took most.
"""

import argparse
import time

import torch
from torch.profiler import ProfilerActivity, profile

from distillkit.generation import sampler
from distillkit.models.chats import chat_text
from distillkit.models.loading import load
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.session import start
from distillkit.traces.filters import choose, reject, to_traces
from distillkit.traces.teachers import Recorded
from distillkit.traces.templates import THINK, messages
from distillkit.training.loop import distill
from distillkit.training.lora import lora, with_adapter

GROUPS = {  # a word in a kernel's or operation's name -> what it is for
    "attention": ("fmha", "flash", "attention", "sdpa", "softmax"),
    "matrix products": ("gemm", "nvjet", "cutlass", "mm", "linear", "cublas"),
    "copies and casts": ("copy", "memcpy", "memset", "_to_copy", "cat"),
    "optimizer": ("adam", "multi_tensor", "foreach"),
}


def group_of(name):
    """Return the group that a kernel or operation belongs to."""
    return next((group for group, words in GROUPS.items()
                 if any(word in name.lower() for word in words)), "small operations")  # fmt: skip


def show(what, seconds, steps, found, on_card):
    """Print the table of one measurement."""
    times = {}
    kernels = 0
    for event in found.key_averages():
        own = event.self_device_time_total if on_card else event.self_cpu_time_total
        is_kernel = str(event.device_type).endswith("CUDA")
        if on_card != is_kernel or not own:
            continue
        kernels += event.count
        times[event.key] = own / 1e3 / steps
    busy = sum(times.values())
    print(f"\n{what}: {1e3 * seconds / steps:.1f} ms a step by the clock, "
          f"{busy:.1f} ms {'on the device' if on_card else 'in operations'}, "
          f"{kernels / steps:.0f} {'kernels' if on_card else 'operations'} a step")  # fmt: skip
    groups = {}
    for name, milliseconds in times.items():
        groups[group_of(name)] = groups.get(group_of(name), 0) + milliseconds
    for name, milliseconds in sorted(groups.items(), key=lambda pair: -pair[1]):
        print(f"  {milliseconds:7.2f} ms  {name}")
    for name, milliseconds in sorted(times.items(), key=lambda pair: -pair[1])[:8]:
        print(f"           {milliseconds:7.2f} ms  {name[:90]}")


def watched(what, work, on_card):
    """Do the work once to warm up, once by the clock, once under the profiler."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_card else [])]
    work()
    began = time.perf_counter()
    steps = work()
    if on_card:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    with profile(activities=kinds, acc_events=True) as found:
        work()
    show(what, seconds, steps, found, on_card)


def main():
    """Measure training, then answering."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--student", default="qwen2.5-coder-0.5b-instruct")
    arguments.add_argument("--steps", type=int, default=8)
    options = arguments.parse_args()
    machine = start()
    on_card = machine.device == "cuda"
    student = load(options.student, machine.device, machine.dtype, say=lambda _: None)
    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    traces = to_traces(choose(kept, 8 * options.steps, 0))
    problems = make_problems(100, NARROW, "test", 1)
    prompts = [chat_text(student.tokenizer, messages(p.text, THINK)) for p in problems]
    model = with_adapter(student.model, lora())

    def train():
        return len(distill(model, student.tokenizer, traces).log)

    def answer():
        rows = sampler.sample(model, student.tokenizer, prompts, stop=THINK.stop, width=100)
        return max(row[0].tokens for row in rows)

    print(machine)
    watched("training", train, on_card)
    model.merge_adapter()
    watched("answering, 100 texts", answer, on_card)
    if on_card:
        sampler._fixed = lambda base: False
        watched("answering without the graph", answer, on_card)


if __name__ == "__main__":
    main()
