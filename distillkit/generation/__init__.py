"""From a prompt to text.

- `sampler`: batched, to use: a shared prefix is computed once
- `decoding`: plain, to read: greedy, drawing and beams
"""
