"""Simple equations by others, as questions for `distillkit evaluate`: none of them is trained on.

In an environment of its own, as the package is not one of the kit's:

    pip install reasoning-gym==0.1.25
    python -m benchmarks.recordings.outside_questions runs

Writes 200 questions of reasoning-gym to `outside_fresh.jsonl`.  Their seed is 1000: the kinds that
are taught were chosen from the wrong answers to those of seed 0.
"""

import json
import sys
from pathlib import Path

SEED = 1000  # the question at place i has the seed plus i: seeds nearer than 200 would share some

if __name__ == "__main__":
    import reasoning_gym

    asked = reasoning_gym.create_dataset("simple_equations", size=200, seed=SEED)
    lines = "".join(json.dumps(question) + "\n" for question in asked)
    (Path(sys.argv[1]) / "outside_fresh.jsonl").write_text(lines)
