"""Whether two models write in one vocabulary: else their token numbers mean other words."""

from __future__ import annotations

from distillkit.models.downloads import ModelError
from distillkit.models.loading import Loaded


def same_vocabulary(student: Loaded, teacher: Loaded) -> None:
    """Raise ModelError, with both names, unless every token has the same number in both models.

    The logits may be longer than the vocabulary, each by another padding (Qwen2.5: 151,936 columns
    for 0.5B, 152,064 for 7B): the columns that both have are compared.
    """
    ours, theirs = student.tokenizer.get_vocab(), teacher.tokenizer.get_vocab()
    odd = sorted(
        (token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token)),
        key=lambda token: (ours.get(token, theirs.get(token)), token),
    )
    if odd:
        places = (
            "no token" if number is None else f"token {number}"
            for number in (ours.get(odd[0]), theirs.get(odd[0]))
        )
        raise ModelError(
            f"{teacher.name} cannot be the teacher of {student.name}: they write in different "
            f"vocabularies ({len(odd)} tokens differ; {odd[0]!r} is {next(places)} of the student "
            f"and {next(places)} of the teacher). Take a teacher of the student's family, or "
            "train on its texts: --objective sft"
        )
    short = min(model.config.get_text_config().vocab_size for model in (student.model,
                                                                        teacher.model))  # fmt: skip
    if short <= max(ours.values()):
        raise ModelError(
            f"{teacher.name} or {student.name} has logits for {short} tokens only, and the "
            f"vocabulary has {max(ours.values()) + 1}"
        )
