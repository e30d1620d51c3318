"""distillkit: learn LLM distillation by doing it on the machine you have.

The names below are loaded when they are first used, so that `import distillkit` is quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

__version__ = "0.1.0"
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of kernels on a hub, unused

_MODULES = {  # modules of which a lesson uses several functions: dk.statistics.table
    "plots": "plots",
    "decoding": "generation.decoding",
    "memory": "training.memory",
    "pruning": "models.pruning",
    "statistics": "evaluation.statistics",
    "step_by_step": "training.step_by_step",
    "corpora": "retrieval.corpora",
    "handbook": "retrieval.handbook",
    "lexical": "retrieval.lexical",
    "dense": "retrieval.dense",
    "gguf_writer": "models.gguf_writer",
}
_HOME = {  # public name -> the module it lives in
    # this machine, and the files of the kit
    "start": "runtime.session",
    "data_path": "runtime.session",
    "read_csv": "runtime.files",
    "read_json": "runtime.files",
    "read_jsonl": "runtime.files",
    # models
    "load": "models.loading",
    "chat_text": "models.chats",
    "modelfile": "models.modelfile",
    # problems
    "FAMILIES": "problems.equations",
    "NARROW": "problems.equations",
    "OUT_OF_DISTRIBUTION": "problems.equations",
    "make_problem": "problems.equations",
    "make_problems": "problems.equations",
    "to_solve": "problems.judging",
    "to_judge": "problems.judging",
    "parse_equation": "problems.algebra",
    "extract": "problems.answers",
    "same_value": "problems.answers",
    "FORMS": "problems.trace_forms",
    # writing text with a model
    "sample": "generation.sampler",
    "next_token_probs": "generation.sampler",
    # finding passages, and asking with them
    "chunk_all": "retrieval.passages",
    "holders": "retrieval.passages",
    "top_k": "retrieval.search",
    "ask": "retrieval.prompts",
    # a teacher's candidates, and the rules that make traces of them
    "TEMPLATES": "traces.templates",
    "THINK": "traces.templates",
    "SHOTS": "traces.templates",
    "messages": "traces.templates",
    "render_solution": "traces.templates",
    "teacher": "traces.teachers",
    "Local": "traces.teachers",
    "TeacherError": "traces.teachers",
    "RULES": "traces.filters",
    "Rule": "traces.filters",
    "judge": "traces.filters",
    "first_wrong_step": "traces.filters",
    "reject": "traces.filters",
    "pass_at_k": "traces.filters",
    "choose": "traces.filters",
    "to_traces": "traces.filters",
    "mix": "traces.filters",
    # training a student on them
    "encode": "training.packing",
    "pack": "training.packing",
    "Example": "training.packing",
    "Stream": "training.packing",
    "lora": "training.lora",
    "with_adapter": "training.lora",
    "layers_of": "training.lora",
    "factors": "training.lora",
    "decomposed": "training.lora",
    "ready_student": "training.lora",
    "forward_kl": "training.losses",
    "reverse_kl": "training.losses",
    "jsd": "training.losses",
    "distillation_loss": "training.losses",
    "Match": "training.objectives",
    "MatchStates": "training.states",
    "handed_on": "training.states",
    "mean_loss": "training.objectives",
    "read_teacher": "training.objectives",
    "solved_examples": "training.objectives",
    "MatchTopK": "training.top_k",
    "load_top_k": "training.top_k",
    "record": "training.top_k",
    "own_texts": "training.on_policy",
    "TrainingConfig": "training.loop",
    "distill": "training.loop",
    "train_plainly": "training.plain_loop",
    # what it learned, and whether that is more than chance
    "evaluate": "evaluation.scoring",
    "score": "evaluation.scoring",
    "summary": "evaluation.scoring",
    "agreement": "evaluation.scoring",
    "write_answers": "evaluation.scoring",
    "slips": "evaluation.slips",
    "contradiction": "evaluation.choosing",
    "sound_part": "evaluation.choosing",
    "wilson": "evaluation.statistics",
    "paired_difference": "evaluation.statistics",
    "unpaired_difference": "evaluation.statistics",
    "mcnemar": "evaluation.statistics",
    # the whole flow as one job, and its report
    "HARD": "pipeline.recipes",
    "settings_for": "pipeline.recipes",
    "run_demo": "pipeline.demo",
    "accuracy_table": "pipeline.report",
    "with_interval": "pipeline.report",
    "draw_accuracy": "pipeline.figures",
    "export": "pipeline.export",
    # lessons
    "start_lesson": "teaching.lesson",
    "all_lessons": "teaching.lesson",
    "show": "teaching.widgets",
    "numbers": "teaching.widgets",
    "explore": "teaching.widgets",
    "Live": "teaching.widgets",
    "Count": "teaching.widgets",
    "Steps": "teaching.widgets",
    "counted": "teaching.widgets",
    "page": "teaching.widgets",
    "progress": "teaching.record",
    "whose": "teaching.exercise",
    "data": "teaching.recorded",
    "show_arms": "teaching.recorded",
    "compare": "teaching.recorded",
}
__all__ = [*_MODULES, *_HOME]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"distillkit.{_MODULES[name]}")
    if name not in _HOME:
        raise AttributeError(f"module 'distillkit' has no attribute {name!r}")
    return getattr(import_module(f"distillkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
