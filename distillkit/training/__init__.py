"""From traces to a student.

- `losses`: cross-entropy, soft losses
- `objectives`: what a training minimises
- `states`: the hidden states of a parent, between the layers
- `top_k`: a teacher's likeliest tokens, recorded
- `on_policy`: the student's own texts, at each step
- `step_by_step`: a label and its rationale, as one text or as two tasks
- `packing`: a batch as a prefix tree: nothing is computed twice
- `memory`: what training needs, counted from a model's shape
- `gradients`: the gradient of a batch, in parts that fit, by all processes
- `checkpoints`: exact resume
- `lora`: adapters: where they go, what they learned, a lower rank
- `processes`: one batch shared by several processes, and their precision
- `resuming`: a run that stops and goes on
- `plain_loop`: the loop in its plainest form, to read
- `loop`: the loop
"""
