"""From a prompt to text.

- `sampler`: batched, to use: a shared prefix is computed once
- `going_back`: a line that does not hold is written again, what was refused never twice
- `decoding`: plain, to read: greedy, drawing and beams
"""
