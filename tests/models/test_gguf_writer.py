"""A GGUF file that was written here, read back by transformers and by llama.cpp."""

from __future__ import annotations

import copy
import json
import re

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from distillkit.models.chats import chat_text
from distillkit.models.downloads import ModelError
from distillkit.models.gguf import converted
from distillkit.models.gguf_writer import (
    ARCHITECTURES,
    IN_SMALL_BLOCKS,
    KINDS,
    REST,
    WORDS,
    _parting,
    plan,
    round_weights,
    true_bits,
    writable,
    write_gguf,
)
from distillkit.models.modelfile import modelfile, stop_words, turns
from tests.conftest import CHATML, merging_tokenizer, tiny_model

QWEN = (
    """{% if messages[0]['role'] != 'system' %}<|im_start|>system
You are a model.<|im_end|>
{% endif %}"""
    + CHATML
)
CHATS = {
    "no system": [("user", "2x = 4")],
    "system": [("system", "Solve."), ("user", "2x = 4")],
    "several turns": [("system", "Solve."), ("user", "2x = 4"), ("assistant", "x = 2"),
                      ("user", "and 3x = 9?"), ("assistant", "x = 3"), ("user", "thanks")],
    "Unicode": [("system", "Löse: “√”"), ("user", "½x = −4 \U0001f600 再来\n一个 e\u0301")],
    "Go's and Jinja's signs": [("user", "{{ .System }} {% if %} {# x #} \"\"\" \\n \\")],
}  # fmt: skip


def chat(pairs):
    return [{"role": role, "content": content} for role, content in pairs]


@pytest.fixture(scope="module")
def tokenizer():
    made = merging_tokenizer()
    made.chat_template = QWEN
    return made


@pytest.fixture(scope="module", params=["Qwen2", "Llama"])
def model(request, tokenizer):
    """A tiny model whose embedding has more rows than there are tokens, as Qwen's has."""
    return tiny_model(request.param, tokenizer, initializer_range=0.15,
                      vocab_size=len(tokenizer) + 5)  # fmt: skip


def read_back(path):
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()


@torch.inference_mode()
def logits(model, ids=range(40)):
    return model(torch.tensor([[*ids]])).logits


def as_stored(values, kind):
    """Round and back, by the library's own functions."""
    return torch.from_numpy(gguf.dequantize(gguf.quantize(values.numpy(), kind), kind).copy())


@pytest.mark.parametrize("kind", [name for name in KINDS if not name.endswith("_k")])
def test_what_is_read_back_is_what_was_written(model, tokenizer, tmp_path, kind):
    stored = write_gguf(model, tokenizer, tmp_path / "m.gguf", kind, {})
    back = read_back(tmp_path / "m.gguf")
    weights = back.state_dict()
    for tensor in stored:
        rounded = as_stored(model.state_dict()[tensor.source], tensor.kind)
        assert torch.equal(weights[tensor.source], rounded), tensor.name
    assert back.config.tie_word_embeddings
    # and against the model that was exported: the share of its logits' spread that is lost
    whole, lost = logits(model), logits(back) - logits(model)
    bound = {"bf16": 0.02, "f16": 0.002, "q8_0": 0.04}.get(kind, 0.2 if "5" in kind else 0.4)
    assert 0 < lost.std() / whole.std() < bound


@pytest.mark.parametrize("kind", ["bf16", "q8_0", "q4_0"])
def test_weights_that_are_rounded_in_place_are_those_of_the_file(model, tokenizer, tmp_path, kind):
    stored = write_gguf(model, tokenizer, tmp_path / "m.gguf", kind, {})
    here = copy.deepcopy(model)
    assert round_weights(here, kind) == stored
    back = read_back(tmp_path / "m.gguf").state_dict()
    assert all(torch.equal(here.state_dict()[t.source], back[t.source]) for t in stored)


def test_a_block_of_q4_is_wrong_by_half_a_step_or_by_one_at_the_far_end():
    """Q4_0 has 16 steps of a block's largest value / 8, from -8 to 7: the eighth is cut off."""
    values = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    step = values.abs().amax(1, keepdim=True) / 8
    lost = (as_stored(values, gguf.GGMLQuantizationType.Q4_0) - values).abs() / step
    assert lost.max() <= 1.01 and (lost <= 0.51).float().mean() > 0.97


def test_bytes_and_true_bits_are_those_of_the_file(tokenizer, tmp_path):
    model = tiny_model("Qwen2", tokenizer, intermediate_size=80)
    stored = {t.name: t for t in write_gguf(model, tokenizer, tmp_path / "m.gguf", "q4_0", {})}
    found = {t.name: t for t in gguf.GGUFReader(tmp_path / "m.gguf").tensors}
    assert {name: (t.kind, t.bytes) for name, t in stored.items()} == {
        name: (t.tensor_type, t.n_bytes) for name, t in found.items()
    }
    kinds = {name: t.kind.name for name, t in stored.items()}
    assert kinds["blk.0.attn_q.weight"] == "Q4_0" and stored["blk.0.attn_q.weight"].bytes == 576
    assert kinds["blk.0.ffn_down.weight"] == "F16"  # rows of 80, no multiple of 32
    assert kinds["token_embd.weight"] == "Q8_0" and kinds["output_norm.weight"] == "F32"
    bits = {"F32": 32, "F16": 16, "Q8_0": 8.5, "Q4_0": 4.5}
    total = sum(bits[t.kind.name] * t.weights for t in stored.values())
    assert true_bits(list(stored.values())) == pytest.approx(
        total / sum(p.numel() for p in model.parameters()))  # fmt: skip


@pytest.mark.parametrize(("kind", "small"), [("q6_k", "Q8_0"), ("q5_k", "Q5_1"), ("q4_k", "Q5_0")])
def test_k_quants_of_short_rows_are_kept_in_small_blocks(tokenizer, monkeypatch, kind, small):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None
    )  # nothing to need libgguf for
    kinds = {t.name: t.kind.name for t in plan(tiny_model("Qwen2", tokenizer), kind)}
    assert kinds["blk.0.attn_q.weight"] == small
    with pytest.raises(ModelError, match="needs libgguf"):
        writable(tiny_model("Qwen2", tokenizer, intermediate_size=256), kind)


@pytest.mark.parametrize("kind", ["q6_k", "q5_k", "q4_k"])
def test_k_quants_are_read_back_and_lose_less_than_plain_blocks(tokenizer, tmp_path, kind):
    pytest.importorskip("libgguf")
    model = tiny_model("Qwen2", tokenizer, hidden_size=256, initializer_range=0.02)
    stored = write_gguf(model, tokenizer, tmp_path / "m.gguf", kind, {})
    assert sum(t.kind == KINDS[kind] for t in stored) == 2 * 6  # the rows of down_proj have 64
    back, plain = read_back(tmp_path / "m.gguf").state_dict(), {"q6_k": "q5_1", "q5_k": "q5_0"}
    for tensor in stored:
        values = model.state_dict()[tensor.source]
        if tensor.kind in IN_SMALL_BLOCKS:
            other = as_stored(values, KINDS[plain.get(kind, "q4_0")])
            assert (back[tensor.source] - values).std() < (other - values).std()


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_head_is_there_once_and_another_one_is_there_too(tokenizer, tmp_path, tied):
    model = tiny_model("Qwen2", tokenizer, tie_word_embeddings=tied)
    stored = write_gguf(model, tokenizer, tmp_path / "m.gguf", "f16", {})
    assert any(t.name == "output.weight" for t in stored) is not tied
    assert (logits(read_back(tmp_path / "m.gguf")) - logits(model)).abs().max() < 0.2


def read_here(path):
    """Read a file with the kit, into a folder of safetensors."""
    return converted("toy", path, "here", "0" * 64, lambda _: None, path.parent / "read").path


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0"])
def test_the_kit_reads_one_tensor_after_the_other_what_transformers_reads_at_once(
    model, tokenizer, tmp_path, kind
):
    write_gguf(model, tokenizer, tmp_path / "m.gguf", kind, {})
    folder, theirs = read_here(tmp_path / "m.gguf"), read_back(tmp_path / "m.gguf")
    ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    pairs = zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True)
    assert all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)
    head, rest = (m.config.to_dict() for m in (ours, theirs))
    del rest["quantization_config"]  # plain float32 now
    same = {"_name_or_path": "", "architectures": [type(model).__name__]}
    assert head | same == rest | same and head["architectures"] == same["architectures"]
    assert ours.generation_config.to_dict() == theirs.generation_config.to_dict()
    words = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf").get_vocab()
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == words


@pytest.mark.parametrize(("apart", "tied"), [(0.0, True), (0.3, False)])
def test_a_matrix_that_is_stored_twice_is_tied_and_the_finer_copy_kept(
    tokenizer, tmp_path, apart, tied
):
    model = tiny_model("Qwen2", tokenizer, tie_word_embeddings=False)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.model.embed_tokens.weight + 0.01)
        model.lm_head.weight[-1, -1] += apart
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "bf16", {})
    back = AutoModelForCausalLM.from_pretrained(read_here(tmp_path / "m.gguf"))
    assert back.config.tie_word_embeddings is tied
    assert torch.equal(back.lm_head.weight, model.lm_head.weight.bfloat16().float())
    assert torch.equal(back.model.embed_tokens.weight, back.lm_head.weight) is tied


def test_a_file_without_one_of_its_tensors_is_refused(tokenizer, tmp_path, monkeypatch):
    class Fewer(gguf.GGUFReader):
        def __init__(self, path):
            super().__init__(path)
            self.tensors = [t for t in self.tensors if t.name != "blk.0.ffn_up.weight"]

    write_gguf(tiny_model("Qwen2", tokenizer), tokenizer, tmp_path / "m.gguf", "f16", {})
    monkeypatch.setattr(gguf, "GGUFReader", Fewer)
    with pytest.raises(ModelError, match=r"m\.gguf is no whole model: it has no blk\.0\.ffn_up"):
        read_here(tmp_path / "m.gguf")
    assert not (tmp_path / "read").exists()


def test_a_family_that_is_not_written_here_is_read_by_transformers(
    tokenizer, tmp_path, monkeypatch
):
    model = tiny_model("Llama", tokenizer)
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "f16", {})
    monkeypatch.delitem(ARCHITECTURES, "llama")
    back = AutoModelForCausalLM.from_pretrained(read_here(tmp_path / "m.gguf"))
    assert all(torch.equal(a.half().float(), b) for a, b in
               zip(model.state_dict().values(), back.state_dict().values(), strict=True)
               if a.ndim > 1)  # fmt: skip


def test_the_tokenizer_and_its_special_tokens_come_back(model, tokenizer, tmp_path):
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "f16", {"distillkit.system": "Löse."})
    back = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    text = "the other 12.5 √ \U0001f600\n<|im_start|>user\nx<|im_end|>"
    assert back(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (back.eos_token, back.pad_token) == (tokenizer.eos_token, tokenizer.pad_token)
    fields = gguf.GGUFReader(tmp_path / "m.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"]
    names = [str(bytes(tokens.parts[at]), "utf-8") for at in tokens.data]
    assert len(names) == len(tokenizer) + 5 == model.config.vocab_size
    assert names[-5:] == [f"[PAD{n}]" for n in range(len(tokenizer), len(tokenizer) + 5)]


@pytest.mark.parametrize("words", CHATS.values(), ids=CHATS)
def test_the_chat_template_is_the_same_byte_for_byte(model, tokenizer, tmp_path, words):
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "f16", {})
    back = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    assert chat_text(back, chat(words)).encode() == chat_text(tokenizer, chat(words)).encode()


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("Mistral", {}, "a mistral with its own layers"),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
         "layers of another kind"),
        ("Llama", {"attention_bias": True}, "biases"),
        ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
         "positions of the type linear"),
    ],
)  # fmt: skip
def test_a_model_that_would_come_out_wrong_is_refused(tokenizer, kind, options, reason):
    with pytest.raises(ModelError, match=reason):
        plan(tiny_model(kind, tokenizer, **options), "f16")


DIGITS = {"type": "Digits", "individual_digits": True}
WORDS_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
QWENS = {"type": "Split", "pattern": {"Regex": WORDS + r"\p{N}" + REST}, "behavior": "Isolated",
         "invert": False}  # fmt: skip


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(("state", "name"), [
    (WORDS_, "gpt-2"),
    (sequence(DIGITS, WORDS_), "smollm"),
    (sequence(QWENS, WORDS_ | {"use_regex": False}), "qwen2"),
], ids=["GPT-2", "SmolLM2", "Qwen2.5"])  # fmt: skip
def test_tokenizers_as_they_are_published_have_their_name(state, name):
    assert _parting(state, True) == name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s["pre_tokenizer"].update(type="Whitespace"), "parts texts in a way"),
        (lambda s: s["pre_tokenizer"].update(add_prefix_space=True), "parts texts in a way"),
        (lambda s: s["pre_tokenizer"].update(use_regex=False), "parts texts in a way"),
        (
            lambda s: s.update(
                pre_tokenizer=sequence(DIGITS | {"individual_digits": False}, WORDS_)
            ),
            "parts texts in a way",
        ),
        (lambda s: s["model"].update(byte_fallback=True), "only tokenizers that merge bytes"),
    ],
)
def test_a_tokenizer_that_would_come_out_wrong_is_refused(tokenizer, change, reason, tmp_path):
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    change(state)

    class Other:
        def __getattr__(self, name):
            return getattr(tokenizer, name)

        class backend_tokenizer:
            to_str = staticmethod(lambda: json.dumps(state))

    with pytest.raises(ModelError, match=reason):
        write_gguf(tiny_model("Qwen2", tokenizer), Other(), tmp_path / "m.gguf", "f16", {})


# --- Ollama -------------------------------------------------------------------------------------


def go(template: str, messages: list[dict[str, str]]) -> str:
    """Run the part of Go's text/template that a Modelfile of ours uses, as Ollama fills it in."""
    tokens = re.split(r"\{\{ (.*?) \}\}", template)
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")

    def truth(words: str, message) -> bool:
        if words == "not .System":
            return not system
        return message["role"] == re.fullmatch(r'eq \.Role "(\w+)"', words)[1]

    def block(at: int, message, write: bool) -> tuple[str, int]:
        """Return what the tokens from `at` on write, and where their `end` or `else` stands."""
        text = ""
        while at < len(tokens):
            if at % 2 == 0:
                text += tokens[at] if write else ""
            elif tokens[at] == ".Content":
                text += message["content"] if write else ""
            elif tokens[at] == "range .Messages":
                for each in messages:
                    piece, end = block(at + 1, each, write)
                    text += piece
                at = end
            elif tokens[at].startswith("if "):
                words, done = tokens[at], False
                while words != "end":
                    holds = write and not done and (
                        words == "else" or truth(words.split("if ", 1)[1], message))  # fmt: skip
                    piece, at = block(at + 1, message, holds)
                    text, done, words = text + piece, done or holds, tokens[at]
            else:
                assert tokens[at] == "end" or tokens[at].startswith("else"), tokens[at]
                return text, at
            at += 1
        return text, at

    return block(0, None, True)[0]


@pytest.mark.parametrize("words", CHATS.values(), ids=CHATS)
@pytest.mark.parametrize("template", [QWEN, CHATML])
def test_the_modelfile_writes_a_chat_as_the_training_did(tokenizer, template, words, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", template)
    text = modelfile(tokenizer, "m.gguf", "Solve.", 99)
    (inside,) = re.findall('TEMPLATE """(.*?)"""\n', text, re.DOTALL)
    assert go(inside, chat(words)).encode() == chat_text(tokenizer, chat(words)).encode()
    assert text.startswith("# ") and "\nFROM ./m.gguf\n" in text
    assert stop_words(tokenizer, turns(tokenizer)) == ["<|im_end|>", "<|im_start|>"]
    assert 'PARAMETER stop "<|im_end|>"\nPARAMETER stop "<|im_start|>"\n' in text
    assert 'SYSTEM """Solve."""' in text and "PARAMETER num_predict 99\n" in text


@pytest.mark.parametrize(
    "template",
    [
        CHATML.replace("message['content'] }}", "message['content'] | upper }}"),
        CHATML.replace("message['content'] }}", "message['content'].split('</think>')[-1] }}"),
        CHATML.replace("<|im_end|>", "<|im_end|>{{ loop.index }}"),
        CHATML.replace("assistant\n{%", "assistant\n{{ '{{' }}{%"),
        CHATML.replace("<|im_end|>", '"""<|im_end|>'),
        "{{ raise_exception('no') }}",
    ],
)
def test_a_template_that_ollama_cannot_say_is_refused(tokenizer, template, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", template)
    with pytest.raises(ModelError, match="template"):
        turns(tokenizer)


def test_a_stop_word_is_written_as_it_is_or_refused(tokenizer, monkeypatch):
    """Ollama takes what stands between the quotes: there are no escapes."""
    end = "<｜end▁of▁sentence｜>"
    monkeypatch.setattr(tokenizer, "_special_tokens_map", {"eos_token": end})
    assert f'PARAMETER stop "{end}"\n' in modelfile(tokenizer, "m.gguf", "", 9)
    for odd in ('<"end">', "<end>\n"):
        monkeypatch.setattr(tokenizer, "_special_tokens_map", {"eos_token": odd})
        with pytest.raises(ModelError, match="which ends an answer, has quotes or the end of a"):
            modelfile(tokenizer, "m.gguf", "", 9)


@pytest.mark.parametrize("system", ['say "so"', '"""'])
def test_a_system_message_cannot_leave_its_place(tokenizer, system):
    with pytest.raises(ModelError, match="quotes"):
        modelfile(tokenizer, "m.gguf", system, 9)


# --- llama.cpp ----------------------------------------------------------------------------------


def test_llama_cpp_reads_the_file_and_writes_the_same_text(model, tokenizer, tmp_path):
    """In process, through `xllamacpp` (`pip install distillkit[serve]`)."""
    xllamacpp = pytest.importorskip("xllamacpp")
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "f16", {})
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.cpuparams.n_threads = str(tmp_path / "m.gguf"), 512, 1
    server = xllamacpp.Server(params)
    told = chat(CHATS["several turns"])
    said = server.handle_chat_completions(
        {"messages": told, "temperature": 0, "max_tokens": 24, "logprobs": True})  # fmt: skip
    ids = tokenizer(chat_text(tokenizer, told), return_tensors="pt").input_ids
    assert said["usage"]["prompt_tokens"] == ids.shape[1]
    new = model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
    theirs = [t["id"] for t in said["choices"][0]["logprobs"]["content"]]
    assert theirs == new.tolist()[: len(theirs)] and len(theirs) >= 1
