"""LoRA adapters: where they go, what they have learned as a matrix, and how far that can be cut.

Dimension key: I inputs, O outputs, R rank.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import save_file
from torch import Tensor

from distillkit.models.loading import Loaded, load, must_be
from distillkit.runtime.files import read_json
from distillkit.runtime.session import Session, data_path, quiet

READY = "adapter_broad"  # in data/: the adapter of `demo --curriculum broad`, cut to a low rank


def lora(r: int = 16, alpha: int | None = None, layers: Sequence[int] | None = None) -> LoraConfig:
    """Return a LoRA configuration: rank r, scale alpha/r (default 2), on all linear layers.

    `layers` names the decoder layers that get an adapter (default: all); the gradient is computed
    down to the lowest of them and no further.  Source: Hu et al. 2021, arXiv 2106.09685.
    """
    numbers = "|".join(map(str, layers)) if layers is not None else r"\d+"
    return LoraConfig(
        r=r, lora_alpha=2 * r if alpha is None else alpha, lora_dropout=0.0, task_type="CAUSAL_LM",
        target_modules=rf".*\.layers\.({numbers})\..*_proj",
    )  # fmt: skip


def upper_part(student, share: float) -> range:
    """Return the numbers of the upper `share` of a model's decoder layers, 0 < share <= 1."""
    n = student.config.num_hidden_layers
    return range(n - max(1, round(share * n)), n)


def with_adapter(student, adapter: LoraConfig) -> PeftModel:
    """Freeze the student, in 4, 8 or more bits, and add a trainable LoRA adapter.

    Raises ValueError for a student that has one, and as `refuse_leftovers`.
    """
    if isinstance(student, PeftModel):
        raise ValueError(
            "the student has an adapter already: `distill` trains that one on; for a new one, give "
            "the model that `.merge_and_unload()` returns, or `.unload()` to forget the first one"
        )
    refuse_leftovers(student, adapter)
    with quiet():
        return get_peft_model(student, adapter)


def refuse_leftovers(student, adapter: LoraConfig | None = None) -> None:
    """Raise ValueError for a plain model in which numbers of an earlier adapter would stay.

    PEFT puts its layers into the model that it is given.  A new adapter starts anew in each layer
    that it names, whatever was there, so the same call can be made again; elsewhere the earlier
    one would go on changing what the model says.
    """
    for name, layer in student.named_modules():
        if getattr(layer, "lora_A", None) and not (
            adapter and check_target_module_exists(adapter, name)
            and [*layer.lora_A] == ["default"] and not layer.merged
        ):  # fmt: skip
            raise ValueError(
                f"the student carries an adapter already (in {name}), which would stay in it: pass "
                "the PeftModel that was returned, or call `.unload()` on that one first"
            )


def layers_of(model: PeftModel) -> dict[str, Any]:
    """Return the layers that have an adapter, such as "0.self_attn.q_proj", in their order."""
    found = {}
    for name, module in model.named_modules():
        if getattr(module, "lora_A", None):
            found[name.split(".layers.")[-1]] = module
    return found


def factors(layer: Any) -> tuple[Tensor, Tensor]:
    """Return A [R, I] and B [O, R] of a layer, the scale alpha/r multiplied into B, in float32."""
    (name,) = layer.lora_A.keys()
    a_RI, b_OR = layer.lora_A[name].weight, layer.lora_B[name].weight
    return a_RI.detach().float(), b_OR.detach().float() * layer.scaling[name]


def decomposed(a_RI: Tensor, b_OR: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the singular value decomposition U [O, R], S [R], V [R, I] of B A.

    B A itself is never made: QR of both factors leaves a matrix of R x R (Golub and Van Loan 2013,
    sec. 5.4).  Of a rank above the layer's width O or I only that many values are there.
    """
    q_OR, right_RR = torch.linalg.qr(b_OR)
    p_IR, left_RR = torch.linalg.qr(a_RI.T)
    u_RR, s_R, v_RR = torch.linalg.svd(right_RR @ left_RR.T, full_matrices=False)
    return q_OR @ u_RR, s_R, v_RR @ p_IR.T


def cut_rank(model: PeftModel, r: int) -> None:
    """Keep only the r largest singular values of every layer's update, in place.

    The result is the best approximation of that rank (Eckart and Young 1936).  The shapes stay,
    the rest is zero.  Raises ValueError for a rank that the adapter does not have.
    """
    for layer in layers_of(model).values():
        (name,) = layer.lora_A.keys()
        a_RI, b_OR = layer.lora_A[name].weight.data, layer.lora_B[name].weight.data
        if not 1 <= r <= len(a_RI):
            raise ValueError(f"rank {r} is not between 1 and the adapter's {len(a_RI)}")
        u_OR, s_R, v_RI = decomposed(*factors(layer))
        root_R = s_R[:r].sqrt()
        a_RI.zero_()[: len(root_R)] = root_R[:, None] * v_RI[:r]
        b_OR.zero_()[:, : len(root_R)] = u_OR[:, :r] * root_R / layer.scaling[name]


def save_cut(model: PeftModel, r: int, folder: Path, base: str) -> None:
    """Write the adapter cut to rank r in 16 bits: a small folder that `PeftModel` reads.

    The model's own adapter is cut as well, as by `cut_rank`; `base` is the student's public name.
    """
    cut_rank(model, r)
    (config,) = model.peft_config.values()
    config = copy.deepcopy(config)
    config.lora_alpha = config.lora_alpha * r / config.r  # the same scale
    config.r, config.base_model_name_or_path, config.inference_mode = r, base, True
    weights = {
        key: (value[:r] if "lora_A" in key else value[:, :r]).to(torch.bfloat16).contiguous()
        for key, value in get_peft_model_state_dict(model).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def ready_student(machine: Session) -> Loaded:
    """Load the student that comes with the kit: its base with the adapter in `data/`, not merged.

    `with student.model.disable_adapter():` gives the untouched student.  The tiny tier has no such
    adapter: its student gets one that changes nothing.  Raises ModelError.
    """
    student = load(machine.student, machine.device, machine.dtype)
    if machine.tier == "tiny":
        student.model = with_adapter(student.model, lora())
    else:
        must_be(student, read_json(data_path(READY) / "report.json")["student"])
        with quiet():
            student.model = PeftModel.from_pretrained(
                student.model, data_path(READY), is_trainable=True
            )
    student.model.eval()
    return student
