"""Record what the teacher of `data/` says at each token of 128 of its verified traces.

    python -m benchmarks.recordings.record_logits

The traces are chosen as the demo does it with seed 0 and read by the teacher with its six solved
examples, as `teach --logits 64` does it: about 2 minutes on two idle cores.
"""

from benchmarks.runner import DATA, RUNS
from distillkit.cli import main
from distillkit.pipeline.recipes import HARD
from distillkit.problems.equations import NARROW
from distillkit.runtime.files import write_jsonl
from distillkit.traces.filters import choose, reject, to_traces
from distillkit.traces.teachers import Recorded

LOGITS = "teacher_logits_qwen2.5-coder-1.5b.safetensors"


def demo_traces():
    """Return the first 128 of the traces that the demo would choose with seed 0."""
    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    return to_traces(choose(kept, 128, 0, HARD))


if __name__ == "__main__":
    texts = RUNS / "recordings" / "demo_traces.jsonl"
    write_jsonl(texts, demo_traces())
    raise SystemExit(main(["teach", "hf:qwen2.5-coder-1.5b-instruct", "--logits", "64",
                           "--of", str(texts), "--out", str(DATA / LOGITS)]))  # fmt: skip
