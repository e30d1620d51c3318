"""What 8-bit weights cost and give on a CPU: accuracy beside speed, for several schemes.

    python benchmarks/quantised_sampling.py [--test 60] [--student NAME]

A few-shot prompted model answers the same unseen equations greedily under each scheme:

- float32; bfloat16 (weights and activations);
- weights only: int8 weights with one scale a row, turned back into float32 for each product;
- per token: int8 weights as above, activations int8 with one scale a token;
- per tensor: the same with one scale for all activations of a product, as in torch's eager
  dynamic quantisation.

The output head stays in float32 in all of them.
"""

import argparse
import time

import torch
from torch import nn

from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import evaluate, summary
from distillkit.models import load
from distillkit.report import with_interval
from distillkit.templates import SHOTS


class Int8Linear(nn.Module):
    """A linear layer with int8 weights, one scale a row; `activations` says how x is rounded."""

    def __init__(self, linear: nn.Linear, activations: str):
        super().__init__()
        self.activations, self.bias = activations, linear.bias
        self.scale = linear.weight.detach().abs().amax(1) / 127
        self.weight = (linear.weight.detach() / self.scale[:, None]).round().to(torch.int8)

    def forward(self, x):
        """Return x Wᵀ + b."""
        if self.activations == "float32":
            return nn.functional.linear(x, self.weight.float() * self.scale[:, None], self.bias)
        flat = x.reshape(-1, x.shape[-1])
        largest = flat.abs()
        largest = largest.amax(1, keepdim=True) if self.activations == "token" else largest.amax()
        scale = largest.clamp_min(1e-8) / 127
        rounded = (flat / scale).round().to(torch.int8)
        out = torch._int_mm(rounded, self.weight.t()).float() * scale * self.scale
        out = out if self.bias is None else out + self.bias
        return out.view(*x.shape[:-1], -1)


def quantise(model, activations):
    """Replace the linear layers inside the decoder layers."""
    for layer in model.base_model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, Int8Linear(child, activations))


def main():
    """Print one row a scheme."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--test", type=int, default=60)
    arguments.add_argument("--student", default="qwen2.5-coder-0.5b-instruct")
    options = arguments.parse_args()
    problems = make_problems(options.test, NARROW, "test", 100)
    schemes = {
        "float32": ("float32", None), "bfloat16": ("bfloat16", None),
        "int8 weights only": ("float32", "float32"), "int8 per token": ("float32", "token"),
        "int8 per tensor": ("float32", "tensor"),
    }  # fmt: skip
    for name, (dtype, activations) in schemes.items():
        student = load(options.student, dtype=dtype, say=lambda _: None)
        if activations:
            quantise(student.model, activations)
        began = time.perf_counter()
        rows = evaluate(student.model, student.tokenizer, problems, shots=SHOTS,
                        width=len(problems))  # fmt: skip
        seconds = time.perf_counter() - began
        speed = sum(row["tokens"] for row in rows) / seconds
        exact = with_interval(summary(rows))
        print(f"{name:>18}  {speed:6.1f} tokens/s  exact {exact}", flush=True)


if __name__ == "__main__":
    main()
