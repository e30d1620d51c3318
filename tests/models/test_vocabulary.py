"""Vocabularies may differ in padding only."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from conftest import byte_tokenizer, tiny_model

from distillkit.models.downloads import ModelError
from distillkit.models.vocabulary import same_vocabulary


def loaded(name, extra=(), columns=None):
    """A model whose logits are `columns` long."""
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(list(extra))
    model = tiny_model("Qwen2", tokenizer)
    model.config.vocab_size = columns or len(tokenizer)
    return SimpleNamespace(name=name, tokenizer=tokenizer, model=model)


def test_padding_may_differ():
    same_vocabulary(loaded("small", columns=300), loaded("large", columns=320))


@pytest.mark.parametrize("ours", [(), ("<b>", "<a>")])
def test_another_token_is_refused_with_both_names_and_the_token(ours):
    said = "large cannot be the teacher of small.*'<[ab]>' is (no token|token 2..) of the student"
    with pytest.raises(ModelError, match=said):
        same_vocabulary(loaded("small", ours), loaded("large", ("<a>", "<b>")))


def test_logits_for_a_part_of_the_vocabulary_are_refused():
    with pytest.raises(ModelError, match="logits for 200 tokens only"):
        same_vocabulary(loaded("small"), loaded("large", columns=200))
