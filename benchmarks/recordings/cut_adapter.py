"""Make `data/adapter_broad/`: the adapter of a finished run, cut to a low rank, in 16 bits.

python3 kit.py demo --curriculum broad --out runs/broad
python -m benchmarks.recordings.cut_adapter [--rank 12]
"""

import argparse

from peft import PeftModel

from benchmarks.runner import DATA, RUNS
from distillkit.models.loading import load
from distillkit.runtime.files import read_json, write_json
from distillkit.training.lora import READY, save_cut

RUN = RUNS / "broad"


def main() -> None:
    """Cut the adapter, and put the run's report beside it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--rank", type=int, default=12)
    options = arguments.parse_args()
    report = read_json(RUN / "report.json")
    name = report["student"]["name"]
    student = load(name, dtype=report["settings"]["dtype"], say=lambda _: None)
    model = PeftModel.from_pretrained(student.model, RUN / "adapter")
    save_cut(model, options.rank, DATA / READY, name)
    report["command"] = report["command"].replace(str(RUN), "runs/broad")
    write_json(DATA / READY / "report.json", report)


if __name__ == "__main__":
    main()
