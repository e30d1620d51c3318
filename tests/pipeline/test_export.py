"""The commands `export` and `chat`: a tiny run in other forms, and talking to it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from itertools import count

import gguf
import pytest
import torch
from peft import PeftModel

from distillkit.cli import main
from distillkit.evaluation.scoring import evaluate, score
from distillkit.generation.going_back import GoBack
from distillkit.models.chats import chat_text
from distillkit.models.downloads import ModelError
from distillkit.models.gguf_writer import SYSTEM_KEY
from distillkit.models.loading import load
from distillkit.pipeline import chat as chatting
from distillkit.pipeline.chat import answer, gguf_system
from distillkit.pipeline.demo import load_run, read_run, system_of
from distillkit.pipeline.distill_file import shared_system
from distillkit.pipeline.export import FORMS, export, merged
from distillkit.pipeline.recipes import broad_problems
from distillkit.runtime.files import read_json, read_jsonl, write_json, write_jsonl
from distillkit.runtime.progress import printable
from distillkit.runtime.session import data_path
from distillkit.traces.server_teacher import Server
from distillkit.traces.templates import THINK, messages
from distillkit.training.lora import lora, with_adapter
from distillkit.training.packing import encode
from tests.conftest import merging_tokenizer, tiny_model

SHIPPED = data_path("adapter_broad")
TRACES = [
    {"id": "1", "family": "one-step", "prompt": messages("x + 1 = √2"),
     "completion": [{"role": "assistant", "content": THINK.render("x = √2 - 1", "x = √2 - 1")}]},
    {"id": "2", "prompt": [{"role": "user", "content": "the other?"}],
     "completion": [{"role": "assistant", "content": "No.\n\nNever."}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a tiny random student; its adapter changes what it writes."""
    place = tmp_path_factory.mktemp("export")
    tokenizer = merging_tokenizer()
    tiny_model("Qwen2", tokenizer, initializer_range=0.2).save_pretrained(place / "base")
    tokenizer.save_pretrained(place / "base")
    student = load(str(place / "base"))
    model = with_adapter(student.model, lora(r=4))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(place / "run" / "adapter")
    report = read_json(SHIPPED / "report.json")
    report["student"] = {"name": "tiny/student", "source": "a test", "sha256": student.sha256}
    report["settings"] |= {"student": str(place / "base"), "tier": "tiny", "dtype": "float32",
                           "max_new_tokens": 24}  # fmt: skip
    write_json(place / "run" / "report.json", report)
    write_jsonl(place / "run" / "traces.jsonl", TRACES)
    return place / "run"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILLKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copy_of(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


@torch.inference_mode()
def logits(model):
    return model(torch.arange(40)[None]).logits


def test_the_merged_folder_is_the_student(run, tmp_path):
    assert main(["export", str(run), "--to", str(tmp_path / "x"), "--format", "safetensors"]) == 0
    student, (model, tokenizer, settings) = load(str(tmp_path / "x")), load_run(run)
    base = load(settings["student"]).model
    assert torch.allclose(logits(student.model), logits(model), atol=1e-4)
    assert not torch.allclose(logits(student.model), logits(base), atol=1e-1)
    told = messages("2x = 4")
    assert chat_text(student.tokenizer, told) == chat_text(tokenizer, told)
    how = student.model.generation_config
    assert (how.do_sample, how.max_new_tokens, how.eos_token_id) == (
        False, 24, tokenizer.eos_token_id)  # fmt: skip


def test_the_adapter_alone_is_the_student_on_its_base_and_names_no_folder_of_ours(run, tmp_path):
    work = export(run, tmp_path / "x", "adapter")
    model, _, settings = load_run(run)
    base = load(settings["student"]).model
    assert torch.allclose(logits(PeftModel.from_pretrained(base, tmp_path / "x")), logits(model),
                          atol=1e-5)  # fmt: skip
    config = (tmp_path / "x" / "adapter_config.json").read_text()
    assert json.loads(config)["base_model_name_or_path"] == "tiny/student"
    assert str(run.parent) not in config
    trained = sum(v.numel() for n, v in model.named_parameters() if "lora_" in n)
    assert work.weights == trained and work.bits == pytest.approx(32, rel=0.5)  # 32 and a head


@pytest.mark.parametrize("quant", ["", "nf4"])
def test_the_adapter_is_merged_in_float32_and_never_into_few_bits(copy_of, tmp_path, quant):
    report = read_run(copy_of)
    report["settings"] |= {"dtype": "bfloat16", "quant": quant}
    write_json(copy_of / "report.json", report)
    export(copy_of, tmp_path / "x", "gguf-f16")
    base = load(report["settings"]["student"]).model
    layer = PeftModel.from_pretrained(base, copy_of / "adapter").base_model.model.model.layers[1]
    up = layer.mlp.up_proj
    update = up.scaling["default"] * up.lora_B["default"].weight @ up.lora_A["default"].weight
    wanted = (up.base_layer.weight + update).detach().half()
    (found,) = [t for t in gguf.GGUFReader(tmp_path / "x" / "student-f16.gguf").tensors
                if t.name == "blk.1.ffn_up.weight"]  # fmt: skip
    assert (torch.from_numpy(found.data.copy()) - wanted).abs().max() <= 2**-12


def test_the_folder_says_what_it_holds_and_how_large_it_is(run, tmp_path, capsys):
    assert main(["export", str(run), "--to", str(tmp_path / "x"), "--format", "gguf-q4_0"]) == 0
    said, card = capsys.readouterr().out, (tmp_path / "x" / "README.md").read_text()
    report = read_run(run)
    model = merged(run, report).model
    n = sum(p.numel() for p in model.parameters())
    small = sum(p.numel() for name, p in model.named_parameters() if "_proj.weight" in name)
    head = model.get_input_embeddings().weight.numel()
    bits = (4.5 * small + 8.5 * head + 32 * (n - small - head)) / n
    assert f"{bits:.2f} bits a weight" in said and f"{bits:.2f} bits a weight" in card
    for path in (tmp_path / "x").iterdir():
        if path.name != "README.md":
            (row,) = [line for line in card.split("\n") if line.startswith(f"| `{path.name}` |")]
            assert f" {path.stat().st_size:,} " in row and len(row.split("|")[3].strip()) > 10
    assert report["student"]["sha256"] in card and "license: unknown" in card
    assert "| after distillation | 85 % (77–91, n=100) | 15 % (8–26, n=60) |" in card
    assert gguf_system(tmp_path / "x" / "student-q4_0.gguf") == THINK.instruction
    assert THINK.instruction in (tmp_path / "x" / "Modelfile").read_text()


def test_the_autotrain_folder_writes_a_chat_as_the_training_did(run, tmp_path):
    from datasets import load_dataset

    export(run, tmp_path / "x", "autotrain")
    rows = load_dataset("json", data_files=str(tmp_path / "x" / "train.jsonl"), split="train",
                        cache_dir=str(tmp_path / "hub"))  # fmt: skip
    assert rows.column_names == ["messages"]
    tokenizer = merging_tokenizer()
    for row, example in zip(rows, encode(TRACES, tokenizer), strict=True):
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        assert text == tokenizer.decode(example.ids) + "\n"  # behind the end nothing is learned
    card = (tmp_path / "x" / "README.md").read_text()
    assert "--text-column messages --chat-template tokenizer" in card


def test_a_run_on_a_file_is_exported_with_what_it_learned(copy_of, tmp_path):
    """Not with the file of today, and not as a solver of equations."""
    report = read_json(copy_of / "report.json")
    write_jsonl(tmp_path / "mine.jsonl", TRACES)
    write_jsonl(copy_of / "traces.jsonl", TRACES[:-1])
    del report["after"]
    report |= {"file": str(tmp_path / "mine.jsonl"),
               "student": {**report["student"], "name": "a`b` && rm x\n\nc"}}  # fmt: skip
    write_json(copy_of / "report.json", report)
    export(copy_of, tmp_path / "x", "autotrain")
    rows = read_jsonl(tmp_path / "x" / "train.jsonl")
    assert [row["messages"] for row in rows] == [[*t["prompt"], *t["completion"]]
                                                 for t in TRACES[:-1]]  # fmt: skip
    card = (tmp_path / "x" / "README.md").read_text()
    assert "learned from the traces of a file" in card and "equations" not in card
    assert "--model 'a`b` && rm x c' --project-name" in card


def test_a_run_without_its_traces_is_exported_in_another_format(copy_of, tmp_path, capsys):
    """They were read again from where the file was, whatever was in it by then."""
    write_jsonl(tmp_path / "mine.jsonl", TRACES)
    write_json(copy_of / "report.json", {**read_run(copy_of), "file": str(tmp_path / "mine.jsonl")})
    (copy_of / "traces.jsonl").unlink()
    words = ["export", str(copy_of), "--to", str(tmp_path / "x"), "--format"]
    assert main([*words, "autotrain"]) == 1
    assert "does not hold the traces it learned from" in capsys.readouterr().err
    assert main([*words, "adapter"]) == 0


def test_autotrains_own_reader_takes_the_folder(run, tmp_path, monkeypatch):
    """`pip install --no-deps autotrain-advanced loguru` in an environment of its own."""
    reader = pytest.importorskip("autotrain.preprocessor.text")
    import pandas
    from datasets import load_from_disk

    export(run, tmp_path / "x", "autotrain")
    monkeypatch.chdir(tmp_path)
    table = pandas.read_json(tmp_path / "x" / "train.jsonl", lines=True)
    reader.LLMPreprocessor(table, "", "student", "", valid_data=table.copy(),
                           text_column="messages", local=True).prepare()  # fmt: skip
    rows = load_from_disk("student/autotrain-data")["train"]
    assert [*rows["autotrain_text"]] == [[*t["prompt"], *t["completion"]] for t in TRACES]


def test_trl_trains_on_the_same_file(run, tmp_path):
    trl = pytest.importorskip("trl")
    from datasets import load_dataset

    export(run, tmp_path / "x", "autotrain")
    rows = load_dataset("json", data_files=str(tmp_path / "x" / "train.jsonl"), split="train",
                        cache_dir=str(tmp_path / "hub"))  # fmt: skip
    tokenizer = merging_tokenizer()
    settings = trl.SFTConfig(str(tmp_path / "out"), max_steps=1, report_to=[], use_cpu=True,
                             save_strategy="no")  # fmt: skip
    trainer = trl.SFTTrainer(tiny_model("Qwen2", tokenizer), settings, train_dataset=rows,
                             processing_class=tokenizer)  # fmt: skip
    for row, example in zip(trainer.train_dataset, encode(TRACES, tokenizer), strict=True):
        assert row["input_ids"][: len(example.ids)] == example.ids
    trainer.train()


def test_a_run_on_a_file_needs_no_numbers_and_keeps_its_own_system_message(copy_of, tmp_path):
    report = read_run(copy_of)
    for name in ("after", "before", "few_shot", "template"):
        del report[name]
    write_json(copy_of / "report.json", report | {"system": "Be short."})
    export(copy_of, tmp_path / "x", "gguf-q8_0")
    card = (tmp_path / "x" / "README.md").read_text()
    assert "Not measured" in card and "    Be short.\n" in card
    assert gguf_system(tmp_path / "x" / "student-q8_0.gguf") == "Be short."
    assert shared_system([*TRACES, *TRACES[:1]]) == THINK.instruction
    assert shared_system(TRACES[1:]) == ""


def broken(name, change):
    def do(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return do


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda f: (f / "report.json").unlink(), "holds no report.json"),
        (broken("report.json", lambda b: b[:100]), "is no JSON file"),
        (broken("report.json", lambda b: b.replace(b'"few_shot": {', b'"x": {')), "not whole"),
        (
            lambda f: (f / "adapter" / "adapter_model.safetensors").unlink(),
            "holds no adapter_model",
        ),
        (broken("adapter/adapter_model.safetensors", lambda b: b[:-9]), "damaged"),
        (broken("adapter/adapter_config.json", lambda b: b[:50]), "damaged"),
        (broken("report.json", lambda b: b.replace(b'"sha256": "', b'"sha256": "0')), "is not the"),
    ],
)
def test_a_bad_run_is_one_sentence_and_leaves_nothing(copy_of, tmp_path, capsys, harm, reason):
    harm(copy_of)
    assert main(["export", str(copy_of), "--to", str(tmp_path / "x")]) == 1
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_nothing_is_written_over_and_nothing_half(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    assert main(["export", str(run), "--to", str(tmp_path / "kept")]) == 1
    assert "exists and is kept" in capsys.readouterr().err
    assert main(["export", str(run), "--to", str(tmp_path / "x"), "--format", "gguf-q3_k"]) == 1
    assert all(form in capsys.readouterr().err for form in FORMS[:1])
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
        assert main(["export", str(run), "--to", str(tmp_path / "x")]) == 1
    said = capsys.readouterr()
    assert "GB are free" in said.err and "bits a weight" in said.out
    with monkeypatch.context() as torn:
        torn.setattr("gguf.GGUFWriter.write_tensor_data", lambda *_: 1 / 0)
        assert main(["export", str(run), "--to", str(tmp_path / "x")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mine.txt"]


# --- chat ---------------------------------------------------------------------------------------


def greedy(model, tokenizer, told, limit=24):
    """Return transformers' own greedy answer."""
    ids = tokenizer(chat_text(tokenizer, told), return_tensors="pt").input_ids
    new = model.generate(ids, max_new_tokens=limit, do_sample=False)[0, ids.shape[1] :]
    return tokenizer.decode(new).removesuffix(tokenizer.eos_token)


def said_by(monkeypatch, *texts):
    """Let the model say these tokens, a list for each time that it begins to write."""
    told = list(texts)

    def write(model, prompt_T, choose, limit, stops, cache):
        new = []
        for some in told.pop(0)[:limit]:
            logits_V = torch.zeros(model.config.vocab_size)
            logits_V[some] = 1000
            new.append(choose(logits_V))
            if new[-1] in stops:
                break
        return new

    monkeypatch.setattr(chatting, "write", write)


def test_one_question_gets_the_answer_that_generate_gives(run, capsys):
    model, tokenizer, _ = load_run(run)
    wanted = greedy(model.merge_and_unload(), tokenizer, messages("2x = 4"))
    capsys.readouterr()
    assert main(["chat", str(run), "--once", "2x = 4"]) == 0
    out = capsys.readouterr().out.removesuffix("\n(cut after 24 tokens)\n").removesuffix("\n")
    assert out == printable(wanted) and len(out) > 10


def test_a_gguf_file_answers_as_the_run_does(run, tmp_path, capsys, own_cache):
    export(run, tmp_path / "x", "gguf-f16")
    file = tmp_path / "x" / "student-f16.gguf"
    student = load(str(file))
    wanted = greedy(student.model, student.tokenizer, messages("2x = 4"), 8)
    told = []
    text, _ = answer(student.model, student.tokenizer, messages("2x = 4"), 8, told.append)
    assert "".join(told) == text == wanted
    capsys.readouterr()
    assert main(["chat", str(file), "--once", "2x = 4"]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_a_chat_goes_on_until_the_person_ends_it(run, capsys, monkeypatch, end):
    asked, told = ["one", " ", "two", "/new", "three"], []

    def ask(_):
        if not asked:
            raise end
        return asked.pop(0)

    def remember(model, tokenizer, chat, limit, say):
        told.append([turn["content"] for turn in chat])
        say("fine")
        return "fine", False

    monkeypatch.setattr(chatting, "answer", remember)
    chatting.chat(run, ask=ask)
    first = THINK.instruction
    assert told == [[first, "one"], [first, "one", "fine", "two"], [first, "three"]]
    assert capsys.readouterr().out.endswith("fine\n\nbye\n")


def test_what_the_model_writes_is_shown_and_not_obeyed(run, capsys, monkeypatch):
    model, tokenizer, _ = load_run(run)
    ids = tokenizer("a\x1b[2J\u202eb\n√\U0001f600")["input_ids"]
    pieces = []
    said_by(monkeypatch, *[[*ids, tokenizer.eos_token_id]] * 3)
    text, cut = answer(model, tokenizer, messages("2x = 4"), 99, pieces.append)
    assert text == "a\x1b[2J\u202eb\n√\U0001f600" and not cut
    assert "".join(pieces) == text and "√" in pieces and "\ufffd" not in text
    capsys.readouterr()
    chatting.chat(run, "2x = 4")
    assert capsys.readouterr().out.endswith("a\\x1b[2J\\u202eb\n√\U0001f600\n")
    assert answer(model, tokenizer, messages("2x = 4"), 3, pieces.append)[1]


@pytest.mark.parametrize(("text", "remark"), [
    (THINK.render("3x = 12\nx = 12 / 3\nx = 4", "x = 4"), "each line follows"),
    (THINK.render("3x = 12\nx = 12 / 3\nx = 5", "x = 5"), "this does not follow: x = 5)"),
    (THINK.render("3x = 12\nx = 4", "x = 5"), "the answer x = 5 does not solve 3x = 12)"),
    ("A magnet attracts iron.", ""), (THINK.render("Red.", "Red"), ""), ("<think>\n3x = 12", ""),
])  # fmt: skip
def test_a_solution_gets_a_remark_beside_it(run, capsys, monkeypatch, text, remark):
    monkeypatch.setattr(chatting, "answer", lambda *_: (text, False))
    chatting.chat(run, "3x = 12")
    told = capsys.readouterr()
    assert remark in told.err and (bool(remark) or "follow" not in told.err)
    assert "follow" not in told.out


BEGUN = "<think>\n3x = 12\nx = 12 / 3\n"
REST = "</think>\n<answer>x = 4</answer>"
RIGHT, WRONG = f"{BEGUN}x = 4\n{REST}", f"{BEGUN}x = 5\n{REST.replace('4', '5')}"
SUM = "<think>\nx = 17 + 25\n17 + 25 = 37 + 5"


@pytest.mark.parametrize(("texts", "shown", "asides"), [
    ([RIGHT], RIGHT, ["(each line follows"]),
    ([WRONG, f"x = 4\n{REST}"], f"{BEGUN}x = 5\nx = 4\n{REST}",
     ["(this does not follow: x = 5; from there", "(each line follows"]),
    ([RIGHT.replace(">x = 4", ">x = 9"), REST], f"{BEGUN}x = 4\n{REST.replace('4', '9')}\n{REST}",
     ["(this does not follow: the answer x = 9 does not solve 3x = 12; from",
      "(each line follows"]),
    ([f"{SUM} = 43\n", " = 42\nx = 42\n</think>\n<answer>x = 42</answer>"],  # within the line
     f"{SUM} = 43\n17 + 25 = 37 + 5 = 42\nx = 42\n</think>\n<answer>x = 42</answer>",
     ["(this does not follow: 17 + 25 = 37 + 5 = 43; from there", "(each line follows"]),
    (["Red.\nx = 1\nx = 2\n"], "Red.\nx = 1\nx = 2\n", []),  # no solution: nothing is said
])  # fmt: skip
def test_a_line_that_does_not_follow_is_written_again(run, capsys, monkeypatch, texts, shown,
                                                      asides):  # fmt: skip
    loaded = load_run(run)
    tokenizer = loaded[1]
    said_by(monkeypatch, *([*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
                           for text in texts))  # fmt: skip
    monkeypatch.setattr(chatting, "load_run", lambda *_: (*loaded[:2], {}))
    capsys.readouterr()
    chatting.chat(run, "3x = 12")
    told = capsys.readouterr()
    assert told.out == shown + "\n"
    remarks = told.err.splitlines()
    assert len(remarks) == len(asides), remarks
    assert all(remark.startswith(aside) for remark, aside in zip(remarks, asides, strict=True))


def test_after_all_tries_the_answer_goes_on_and_is_not_to_be_trusted(run, capsys, monkeypatch):
    model, tokenizer, _ = load_run(run)
    monkeypatch.setattr(chatting, "BACK", replace(chatting.BACK, tries=2))
    again = WRONG.removeprefix(BEGUN)
    said_by(monkeypatch, *([*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
                           for text in (WRONG, again, again)))  # fmt: skip
    text, cut = answer(model, tokenizer, messages("3x = 12"), 999, lambda piece: None)
    assert text == WRONG and not cut
    assert capsys.readouterr().err.count("this does not follow: x = 5") == 2


def test_only_the_line_that_is_written_again_is_drawn(run, monkeypatch):
    model, tokenizer, _ = load_run(run)
    one, two, line = (tokenizer(text)["input_ids"] for text in ("1", "2", "\n"))
    either = [one[0], two[0]]  # as likely

    def told():
        said_by(monkeypatch, tokenizer(f"{BEGUN}x = 5\n")["input_ids"],
                [*[either] * 30, *line, *[either] * 5, tokenizer.eos_token_id])  # fmt: skip
        return answer(model, tokenizer, messages("3x = 12"), 999, lambda piece: None)[0]

    drawn, greedy = told().removeprefix(BEGUN).split("\n")
    assert set(drawn) == {"1", "2"} and len(drawn) == 30
    assert len(greedy) == 5 and len(set(greedy)) == 1
    assert told() == told(), "the same question gets the same answers"


def test_a_line_that_was_refused_is_not_written_again(run, monkeypatch):
    model, tokenizer, _ = load_run(run)
    either = [tokenizer(digit)["input_ids"][0] for digit in "3567"]  # as likely, and all wrong
    begun, line = (tokenizer(text)["input_ids"] for text in (f"{BEGUN}x = ", "\n"))
    again = tokenizer("x = ")["input_ids"]
    said_by(monkeypatch, [*begun, either, *line], *[[*again, either, *line]] * 3,
            tokenizer(f"x = 4\n{REST}")["input_ids"])  # fmt: skip
    pieces = []
    answer(model, tokenizer, messages("3x = 12"), 999, pieces.append)
    tried = re.findall("x = (.)\n", "".join(pieces))
    assert sorted(tried[:4]) == list("3567") and tried[4] == "4"


def test_what_was_read_is_not_read_again(run, monkeypatch):
    """Each try goes on from what stays of the text, and writes what it writes without a cache."""
    model, tokenizer, _ = load_run(run)
    line = tokenizer("\n")["input_ids"][0]
    write, refused = chatting.write, []

    def keep(prompt, text):
        if len(refused) == 3:
            return text
        refused.append(text)
        return text[: len(text) // 2]

    def told(cached):
        steps, lengths = count(1), []

        def with_lines(model, prompt_T, choose, limit, stops, cache):
            def one(logits_V):
                logits_V[line] += 1000 * (next(steps) % 7 == 0)
                return choose(logits_V)

            return write(model, prompt_T, one, limit, stops, cache if cached else None)

        def note(_, args, __):
            lengths.append(args[0].shape[1])

        refused.clear()
        monkeypatch.setattr(chatting, "write", with_lines)
        hook = model.register_forward_pre_hook(note, with_kwargs=True)
        text, _ = answer(model, tokenizer, messages("2x = 4"), 40, lambda piece: None)
        hook.remove()
        return text, [n for n in lengths if n > 1]

    monkeypatch.setattr(chatting, "BACK", GoBack(keep, temperature=1e-6, tries=9))
    (text, read), (plain, again) = told(cached=True), told(cached=False)
    assert text == plain and read == again[:1] and len(again) > 2


@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"GGUF" + b"\x03\0\0\0" + b"\xff" * 40])
def test_what_is_no_gguf_file_is_one_sentence(content, tmp_path, capsys):
    if content is not None:
        (tmp_path / "x.gguf").write_bytes(content)
    assert main(["chat", str(tmp_path / "x.gguf")]) == 1
    said = capsys.readouterr().err
    assert "x.gguf" in said and said.count("\n") == 1
    with pytest.raises(ModelError):
        gguf_system(tmp_path / "x.gguf")


# --- the real student, served by llama.cpp --------------------------------------------------------


@pytest.mark.real
@pytest.mark.slow
def test_llama_cpp_answers_as_the_student_does(tmp_path):
    """Q8_0 in llama.cpp against the same student in transformers, through our own client."""
    xllamacpp = pytest.importorskip("xllamacpp")
    export(SHIPPED, tmp_path / "x", "gguf-q8_0")
    params = xllamacpp.CommonParams()
    params.model.path = str(tmp_path / "x" / "student-q8_0.gguf")
    params.n_ctx, params.cpuparams.n_threads = 4096, 1
    server = xllamacpp.Server(params)
    problems = broad_problems(6)
    client = Server("student", f"{server.listening_address}/v1", shots=(), max_new_tokens=560,
                    parallel=1, timeout=600)  # fmt: skip
    theirs = client.sample(problems, k=1, temperature=0.0)
    report = read_run(SHIPPED)
    ours = evaluate(merged(SHIPPED, report).model, load("qwen2.5-coder-0.5b-instruct").tokenizer,
                    problems, max_new_tokens=560)  # fmt: skip
    same = [a["text"].strip() == b["text"].strip() for a, b in zip(theirs, ours, strict=True)]
    right = [score(row["text"], row["finish"], p.answer)["exact"]
             for row, p in zip(theirs, problems, strict=True)]  # fmt: skip
    assert sum(same) >= 5 and sum(right) >= 4, list(zip(theirs, ours))
    assert system_of(report) == THINK.instruction and SYSTEM_KEY.startswith("distillkit.")
