"""Simple equations by others, as questions for `distillkit evaluate`: none of them is trained on.

In an environment of its own, as the package is not one of the kit's:

    pip install reasoning-gym==0.1.25
    python -m benchmarks.recordings.outside_questions runs

Writes 200 questions of reasoning-gym a file: `outside.jsonl` (seed 0: the wrong answers to these
were read before the second course was made) and `outside_fresh.jsonl` (seed 1000: nobody had looked
at these).
"""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    import reasoning_gym

    # The question at place i has the seed plus i: seeds nearer than 200 would share questions
    for seed, name in ((0, "outside.jsonl"), (1000, "outside_fresh.jsonl")):
        asked = reasoning_gym.create_dataset("simple_equations", size=200, seed=seed)
        lines = "".join(json.dumps(question) + "\n" for question in asked)
        (Path(sys.argv[1]) / name).write_text(lines)
