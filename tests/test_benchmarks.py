"""The runner on a tiny experiment, and the recorded tables against those that made them."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import gguf
import pytest
import torch

from benchmarks import runner
from benchmarks.recordings import label_candidates, record_teacher
from benchmarks.runner import Experiment, main
from benchmarks.speed import speed
from benchmarks.speed.memory import LiveTensors
from distillkit.lessons.l12_ship_it.rounding import in_blocks
from distillkit.models.loading import Loaded
from distillkit.pipeline.recipes import CURRICULA
from distillkit.problems.equations import SMALL, make_problems
from distillkit.runtime.files import read_csv, read_jsonl, write_json, write_jsonl
from distillkit.traces.candidates import candidate_ids
from distillkit.traces.filters import first_wrong_step
from distillkit.traces.teachers import Local, Recorded, Solver
from distillkit.traces.templates import THINK
from distillkit.training.lora import lora, with_adapter

ROOT = Path(__file__).resolve().parent.parent
NAMES = [path.stem for path in sorted((ROOT / "benchmarks" / "experiments").glob("*.py"))]
EXPERIMENTS = {
    name: importlib.import_module(f"benchmarks.experiments.{name}").EXPERIMENT for name in NAMES
}
WAITING = {  # arms that are still to be run, by a part of their name
    "step_by_step": ("signs",),
}
COMMAND = re.compile(r"python -m\s+(?:# )?(benchmarks\.[a-z_.]+[a-z])")


class Toy:
    """An experiment whose arms are numbers; it remembers what was run."""

    def __init__(self, path, columns="arm seed n exact dtype machine date", **more):
        self.path, self.runs = path, []
        arms = {"plain": 1, "double, please": 2, "untouched": 0}
        self.experiment = Experiment("tiny.csv", "arm", columns, arms, self.run, test=4,
                                     once=("untouched",), **more)  # fmt: skip

    def run(self, arm, seed, bench):
        self.runs.append((arm, seed))
        return {"n": bench.test, "exact": self.experiment.arms[arm] * (seed or 0) / 10}

    def __call__(self, *words):
        self.runs.clear()
        main(self.experiment, "A tiny one.", ["--out", str(self.path), *words])
        return self.runs


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path / "tiny.csv")


def refusal(call, capsys, *words):
    with pytest.raises(SystemExit) as ended:
        call(*words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_arms_and_seeds_become_rows_with_machine_and_date(toy):
    assert toy("--seeds", "0,3", "--dtype", "float32") == [
        ("plain", 0), ("double, please", 0), ("untouched", None), ("plain", 3),
        ("double, please", 3),
    ]  # fmt: skip
    table = read_csv(toy.path)
    assert list(table[0]) == ["arm", "seed", "n", "exact", "dtype", "machine", "date"]
    assert [(row["arm"], row["seed"], row["exact"]) for row in table] == [
        ("plain", "0", "0.0"), ("double, please", "0", "0.0"), ("untouched", "", "0.0"),
        ("plain", "3", "0.3"), ("double, please", "3", "0.6"),
    ]  # fmt: skip
    assert {row["n"] for row in table} == {"4"}
    assert {row["dtype"] for row in table} == {"float32"}
    assert all("CPU" in row["machine"] or row["machine"] for row in table)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) for row in table)


def test_only_and_seeds_choose_and_rows_that_are_there_are_not_made_again(toy):
    assert toy("--seeds", "1", "--only", "double, please") == [("double, please", 1)]
    first = toy.path.read_bytes()
    assert toy("--seeds", "1", "--only", "double, please", "untouched") == [("untouched", None)]
    assert toy("--seeds", "1,2", "--only", "double, please", "untouched") == [("double, please", 2)]
    assert toy.path.read_bytes().startswith(first), "old rows stay as they are"
    assert toy("--seeds", "1,2", "--only", "double, please", "untouched") == []


def test_arms_without_a_value_are_left_out_of_the_comparison(tmp_path, capsys):
    toy = Toy(tmp_path / "tiny.csv", "arm seed n exact train_seconds dtype machine date")
    work = toy.run
    toy.experiment = dataclasses.replace(toy.experiment, run=lambda arm, *rest: {
        **work(arm, *rest), "train_seconds": "" if arm == "double, please" else 2.0
    })  # fmt: skip
    toy("--seeds", "0,1,2", "--dtype", "float32")
    counted = capsys.readouterr().out.split("\ntrain_seconds\n")
    assert "double, please" in counted[0] and "double, please" not in counted[1]


def test_a_run_that_fails_keeps_what_was_done_and_goes_on_there(toy, monkeypatch):
    work = toy.run

    def broken(arm, seed, bench):
        if arm == "double, please":
            raise MemoryError
        return work(arm, seed, bench)

    object.__setattr__(toy.experiment, "run", broken)
    with pytest.raises(MemoryError):
        toy("--seeds", "1")
    object.__setattr__(toy.experiment, "run", work)
    assert toy("--seeds", "1") == [("double, please", 1), ("untouched", None)]


def test_a_table_of_other_settings_is_refused(toy, tmp_path, capsys):
    toy("--seeds", "1", "--dtype", "float32")
    before = toy.path.read_bytes()
    assert "ask [4] questions, not 5" in refusal(toy, capsys, "--seeds", "2", "--test", "5")
    assert "in float32, not bfloat16" in refusal(toy, capsys, "--dtype", "bfloat16")
    other = Toy(toy.path, columns="arm seed n exact lenient dtype machine date")
    assert "has other columns: arm, seed" in refusal(other, capsys)
    assert "invalid choice: 'tripled'" in refusal(toy, capsys, "--only", "tripled")
    assert "invalid literal" in refusal(toy, capsys, "--seeds", "one")
    assert toy.path.read_bytes() == before


@pytest.mark.parametrize("number", ["0", "-5"])
def test_a_run_asks_one_question_at_least(toy, capsys, number):
    assert "is not above zero" in refusal(toy, capsys, "--test", number)
    assert not toy.path.exists() and toy.runs == []


def test_a_table_of_other_columns_is_refused_if_it_has_no_rows(toy, capsys):
    toy.path.write_text("name,points\n")
    assert "has other columns: name, points" in refusal(toy, capsys)
    assert toy.path.read_text() == "name,points\n" and toy.runs == []
    toy.path.write_text("")
    assert len(toy("--seeds", "1")) == 3


def test_rows_come_below_a_last_line_without_its_end(toy):
    toy("--seeds", "1")
    before = read_csv(toy.path)
    toy.path.write_bytes(toy.path.read_bytes().rstrip())
    toy("--seeds", "2")
    assert read_csv(toy.path)[: len(before)] == before
    assert [row["seed"] for row in read_csv(toy.path)] == ["1", "1", "", "2", "2"]


def test_the_type_of_a_table_is_that_of_its_next_rows(toy):
    toy("--seeds", "1", "--dtype", "bfloat16")
    toy("--seeds", "2")  # whatever this machine would choose
    assert {row["dtype"] for row in read_csv(toy.path)} == {"bfloat16"}


def test_a_value_without_a_column_is_an_error(tmp_path):
    toy = Toy(tmp_path / "tiny.csv", columns="arm seed n dtype")
    with pytest.raises(ValueError, match="no column for exact"):
        toy()
    assert not toy.path.exists()


def test_an_arm_may_have_two_columns_several_rows_and_answers_beside_the_table(tmp_path):
    def run(arm, seed, bench):
        bench.keep("kept.jsonl", [{"arm": arm[1], "text": f"{bench.test} new"}], "arm")
        return [{"n": 4, "split": split} for split in ("near", "far")]

    experiment = Experiment("x.csv", "rank how", "rank how split n", [(0, ""), (8, "cut")], run)
    (tmp_path / "kept.jsonl").write_text('{"arm": "cut", "text": "old"}\n')
    words = ["--out", str(tmp_path / "x.csv"), "--test", "4", "--dtype", "float32"]
    main(experiment, "", [*words, "--only", "8 / cut"])
    main(experiment, "", words)
    main(experiment, "", words)
    assert (tmp_path / "x.csv").read_text().split() == [
        "rank,how,split,n", "8,cut,near,4", "8,cut,far,4", "0,,near,4", "0,,far,4",
    ]  # fmt: skip
    kept = [(row["arm"], row["text"]) for row in read_jsonl(tmp_path / "kept.jsonl")]
    assert kept == [("cut", "4 new"), ("", "4 new")]


def test_arms_are_compared_over_paired_seeds(toy, capsys):
    toy("--seeds", "1,2")
    assert "minus plain" not in capsys.readouterr().out, "two seeds give no interval"
    toy("--seeds", "1,2,3")
    lines = capsys.readouterr().out.splitlines()
    assert any("20.0" in line and "(baseline)" in line for line in lines)
    assert any(line.startswith("double, please") and "+20.0" in line for line in lines)
    assert not any(line.startswith("untouched  ") for line in lines)


# --- the recorded tables --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_table_can_be_made_again(name, capsys):
    """Its columns, its arms and its settings are those of the experiment as it is now."""
    experiment = EXPERIMENTS[name]
    path = runner.DATA / experiment.csv
    table = read_csv(path)
    assert list(table[0]) == experiment.fields
    known = [runner.columns_of(experiment, arm) for arm in experiment.arms]
    lost = [row for row in table if not any(arm.items() <= row.items() for arm in known)]
    assert lost == [], "rows that no arm makes"
    dtype = runner.check_settings(experiment, path, table, experiment.test, None)
    kinds = {
        "demo_recipe": "float32",
        "going_back": "float32",
        "more_training": "float32",
    }  # where the machine of that day had no bfloat16 products
    assert dtype == (kinds.get(name, "bfloat16") if "dtype" in experiment.fields else None)
    err = refusal(lambda *words: main(experiment, "", words), capsys, "--test", "7")
    assert f"ask [{experiment.test}] questions, not 7" in err


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_missing_from_a_recorded_table(name):
    experiment = EXPERIMENTS[name]
    table = read_csv(runner.DATA / experiment.csv)
    waiting = [arm for arm in experiment.arms
               if any(part in runner.arm_name(arm) for part in WAITING.get(name, ()))]  # fmt: skip
    assert not any(runner.rows_of(experiment, table, arm) for arm in waiting)
    arms = [arm for arm in experiment.arms if arm not in waiting]
    missing = runner.left_to_run(experiment, table, arms, [0, 1, 2])
    too_long = {  # data/README.md says so
        "curriculum": [("1024 traces", 1), ("1024 traces", 2)],
        "pruning": [
            (("smollm", *arm), 2)
            for arm in (
                ("leave-one-out", "forward KL"),
                ("leave-one-out", "forward KL and states"),
                ("activation", "forward KL"),
            )
        ],
    }
    assert missing == too_long.get(name, [])


def test_every_command_that_is_named_exists_and_every_table_names_its_command():
    pages = [ROOT / "README.md", ROOT / "data" / "README.md", ROOT / "data" / "claims.csv",
             *(ROOT / "notebooks" / "src").glob("*.py"), *(ROOT / "distillkit").rglob("*.py"),
             *(ROOT / "benchmarks").rglob("*.py")]  # fmt: skip
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    named = {name for text in texts.values() for name in COMMAND.findall(text)}
    named -= {"benchmarks.experiments.rates"}  # the runner's example
    assert named >= {f"benchmarks.experiments.{name}" for name in NAMES}
    assert [name for name in named if importlib.util.find_spec(name) is None] == []
    assert not [page for page, text in texts.items() if "python benchmarks/" in text]
    rows = texts[ROOT / "data" / "README.md"].splitlines()
    for name, experiment in EXPERIMENTS.items():
        (row,) = [row for row in rows if row.startswith(f"| `{experiment.csv}`")]
        assert f"python -m benchmarks.experiments.{name}`" in row
        module = importlib.import_module(f"benchmarks.experiments.{name}")
        assert f"    python -m benchmarks.experiments.{name}\n" in module.__doc__


LITTLE = {
    "TRACES": 8,
    "LIMIT": 8,
    "MOST": 24,
    "K": 2,
    "FIRST": 4,
    "NEW": 4,
    "KEEP": 2,
    "ALONE": 1,
    "PROBLEMS": 12,
    "COLD": 2,
    "SIZE": 2,
    "STEPS": 1,
    "SAMPLED": 2,
    "TEXTS": 1,
    "BATCH": 2,
    "FACTS": 5,
    "HISTORIES": 8,
    "TEACHER": 1,
    "EACH": 1,
    "POOL": 6,
    "SPARE": 30,
}
TRIED = {  # an arm that trains and one that does not, where there are both
    "algorithm_distillation": ["references", "last tenth"],
    "ablation": ["sequences apart", "batch 4 + upper half + more both-sides"],
    "curriculum": ["few-shot", "easy to hard"],
    "demo_recipe": ["128 + 32, 8 a step", "104, 4 a step"],
    "decoding": ["T 1.5, top-k 20", "4 beams"],
    "general_share": ["untouched", "0.2"],
    "distil_or_retrieve": ["facts / distilled", "skill / retrieved examples"],
    "generalisation": ["narrow", "never taught"],
    "going_back": ["broad"],
    "more_kinds": ["thirteen kinds, 20 minutes"],
    "more_training": ["nothing", "same kinds, 3e-4", "drills, products by places, 2e-4"],
    "own_errors": ["first", "own errors", "equal minutes"],
    "pruning": [
        "qwen / none / before",
        "qwen / one layer / before",
        "qwen / leave-one-out / forward KL and states",
    ],
    "ranks": ["0 / narrow", "8 / broad"],
    "recall": ["handbook / BM25 / 64", "handbook / hidden states, whitened / 64"],
    "rejection": ["good / everything", "damaged / verified"],
    "sampler_distillation": ["data", "direct"],
    "self_improvement": ["round 2", "first, repeated"],
    "several_tries": ["systems"],
    "shipped_forms": ["q4_0", "3 bits in blocks of 32, no file format"],
    "sizes": ["distilled", "untouched"],
    "teacher_forms": ["check"],
    "soft_labels": ["words alone", "itself, student's texts, reverse"],
    "step_by_step": ["equations / two tasks / 32", "signs / label only, equal tokens / 32"],
    "templates": ["json / few-shot", "think / arithmetic / distilled"],
}


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_runs_and_fills_its_table(name, fresh_tiny, tmp_path, monkeypatch):
    """Every `run` from end to end, with a random model of two layers and little of everything."""
    module = importlib.import_module(f"benchmarks.experiments.{name}")
    student = Loaded(fresh_tiny.model, fresh_tiny.tokenizer, "tiny", "random", "0" * 64)
    adapted = with_adapter(copy.deepcopy(student.model), lora())
    monkeypatch.setattr(runner, "_load", lambda *_: student)
    monkeypatch.setattr(runner, "RUNS", tmp_path)
    for constant, value in LITTLE.items():
        monkeypatch.setattr(module, constant, value, raising=False)
    monkeypatch.setitem(CURRICULA["broad"], "max_new_tokens", 16)
    if name == "demo_recipe":
        few = {arm: (8, *rest) for arm, (_, *rest) in module.ARMS.items()}
        monkeypatch.setattr(module, "ARMS", few)
    if name == "sizes":
        ready = dataclasses.replace(student, model=adapted)
        monkeypatch.setattr(module, "ready_student", lambda kit: ready)
    if name == "ranks":
        adapted.save_pretrained(tmp_path / "adapter")
        write_json(tmp_path / "report.json", {"student": {"sha256": student.sha256}})
        monkeypatch.setattr(module, "RUN", tmp_path)
    if name == "generalisation":
        settings = {"dtype": "float32", "student": "tiny", "curriculum": "broad", "traces": 8,
                    "seed": 5}  # fmt: skip
        monkeypatch.setattr(module, "distilled", lambda: (adapted, student.tokenizer, settings))
    if name in ("more_kinds", "more_training"):
        asked = [{"question": f"Solve: {n}x = {n}", "answer": "1"} for n in (2, 3, 4)]
        write_jsonl(tmp_path / "outside_fresh.jsonl", asked)
        monkeypatch.setattr("benchmarks.experiments.generalisation.RUNS", tmp_path)
    if name == "more_training":
        few = {arm: (min(n, 8), min(drills, 6), *rest)
               for arm, (n, drills, *rest) in module.LEARNS.items()}  # fmt: skip
        monkeypatch.setattr(module, "LEARNS", few)
        ready = dataclasses.replace(student, model=adapted)
        monkeypatch.setattr(module, "ready_student", lambda machine: ready)
    if name == "more_kinds":
        few = {arm: (shares, 8) for arm, (shares, _) in module.COURSES.items()}
        monkeypatch.setattr(module, "COURSES", few)
    if name == "shipped_forms":
        ready = dataclasses.replace(student, model=adapted)
        monkeypatch.setattr(module, "student_of", lambda *_: copy.deepcopy(ready))
    if name in ("several_tries", "going_back"):
        ready = dataclasses.replace(student, model=adapted)
        monkeypatch.setattr(module, "merged", lambda *_: ready)
    if name == "pruning":
        monkeypatch.setattr(module, "loaded", lambda *_: (student.model, student.tokenizer))
        module.importance_of.cache_clear()
    out = tmp_path / "table.csv"
    words = ["--only", *TRIED[name], "--seeds", "1", "--test", "3", "--dtype", "float32",
             "--out", str(out)]  # fmt: skip
    main(EXPERIMENTS[name], "", words)
    table = read_csv(out)
    arms = {runner.arm_name(arm): arm for arm in EXPERIMENTS[name].arms}
    for arm in TRIED[name]:
        assert runner.rows_of(EXPERIMENTS[name], table, arms[arm]), arm
    recorded = read_csv(runner.DATA / EXPERIMENTS[name].csv)
    filled = {column for row in recorded for column, value in row.items() if value}
    found = {column for row in table for column, value in row.items() if value}
    assert found >= filled if name in WAITING else found == filled
    before = out.read_bytes()
    main(EXPERIMENTS[name], "", words)
    assert out.read_bytes() == before


def test_going_back_refuses_a_stream_that_is_not_written():
    with pytest.raises(ValueError, match=r"there are 3 streams .* 4 was asked for"):
        importlib.import_module("benchmarks.experiments.going_back").run("broad", 4, None)


def test_drills_are_of_one_operation_and_hold_with_products_written_out():
    from benchmarks.experiments.more_training import by_places, drilled

    assert by_places("34 * 20 = 600 + 80 = 680\nx = 680") == (
        "34 * 20 = 30 * 20 + 4 * 20 = 600 + 80 = 680\nx = 680"
    )
    assert by_places("7 * 305 = 2100 + 35 = 2135") == (
        "7 * 305 = 300 * 7 + 5 * 7 = 2100 + 35 = 2135"
    )
    assert by_places("7 * 30 = 210\n-7 * 30 = -210") == "7 * 30 = 210\n-7 * 30 = -210"
    drills = drilled(30, [])
    assert len({drill.id for drill in drills}) == 30
    assert drilled(3, drills[:3]) != drills[:3]
    for drill in drills:
        assert re.fullmatch(r"x/\d+ = -?\d+|x [+-] \d+ = -?\d+|\d+x = \d+", drill.equation)
        (solved,) = Solver(form="collect").sample([drill])
        reasoning = THINK.parse(by_places(solved["text"])).reasoning
        assert first_wrong_step(drill.equation, reasoning) == ""


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0", "Q4_0"])
def test_cut_models_are_rounded_as_gguf_does_it(kind, fresh_tiny):
    from benchmarks.experiments.pruning import in_form

    name, kind = "model.layers.0.mlp.up_proj.weight", gguf.GGMLQuantizationType[kind]
    values = fresh_tiny.model.state_dict()[name]
    values.copy_(torch.randn(values.shape, generator=torch.Generator().manual_seed(0)))
    values[3] = 0
    theirs = gguf.dequantize(gguf.quantize(values.numpy(), kind), kind)
    copied, _ = in_form(fresh_tiny.model, kind.name.lower())
    assert torch.equal(copied.state_dict()[name], torch.from_numpy(theirs.copy()))


# --- recordings and speed -------------------------------------------------------------------------


def test_the_labelled_candidates_come_out_as_they_are_recorded(tmp_path, monkeypatch):
    out = tmp_path / "labelled.jsonl"
    monkeypatch.setattr(label_candidates, "OUT", out)
    monkeypatch.setattr("sys.argv", ["label_candidates"])
    label_candidates.main()
    assert out.read_bytes() == (runner.DATA / "labelled_candidates.jsonl").read_bytes()


def test_the_teacher_is_recorded_once_and_what_is_recorded_can_be_replayed(
    tiny, tmp_path, monkeypatch
):
    teacher = Local(tiny.model, tiny.tokenizer, "tiny", "random", "0" * 64, max_new_tokens=4)
    few = make_problems(2, SMALL, "train", 7)
    monkeypatch.setattr(record_teacher, "make_problems", lambda *_, **__: few)
    monkeypatch.setattr(record_teacher, "JOURNALS", tmp_path / "runs")
    monkeypatch.setattr(record_teacher, "DATA", tmp_path)
    path = tmp_path / record_teacher.RECORDED
    record_teacher.record_candidates(teacher)
    first = path.read_bytes()
    assert [row["id"] for row in read_jsonl(path)] == candidate_ids(few, 4)
    assert [json.loads(line)["candidate"] for line in first.splitlines()] == [0, 1, 2, 3] * 2
    assert Recorded(path).problems() == few
    path.unlink()
    monkeypatch.setattr(
        "distillkit.generation.sampler.sample", None
    )  # the journal holds everything
    record_teacher.record_candidates(teacher)
    assert path.read_bytes() == first


def test_the_recorded_teacher_is_counted_as_its_page_says(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["record_teacher", "--only", "count"])
    record_teacher.main()
    page = (runner.DATA / "README.md").read_text(encoding="utf-8")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 6
    assert [row for row in rows if row not in page] == []


def test_the_speed_table_is_that_of_the_results():
    rows = {
        (measure, peer.split()[0]): (ours, ratio) for measure, ours, peer, ratio in speed.table()
    }
    assert rows["training tokens/s, 40 rows", "trl"] == ("166.1 (162.1–225.1)", "2.38")
    assert rows["peak memory of 40 rows, GB", "trl-packed"] == ("2.70 (2.67–2.70)", "0.71")
    assert rows["minutes to 90 % exact", "trl"] == ("0.94 (0.91–1.38)", "2.26")


def test_four_bits_in_blocks_are_what_the_file_format_rounds_to():
    values = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    values[0, :32] = 0
    kind = gguf.GGMLQuantizationType.Q4_0
    stored = gguf.dequantize(gguf.quantize(values.numpy(), kind), kind)
    assert torch.equal(in_blocks(values, 4), torch.from_numpy(stored))
    errors = [(in_blocks(values, bits) - values).std() for bits in (4, 3, 2)]
    assert errors[1] > 1.7 * errors[0] and errors[2] > 1.7 * errors[1]


def test_live_tensors_counts_what_is_alive_at_once():
    known = torch.ones(100)
    with LiveTensors([known]) as counted:
        first = torch.ones(1000) + known.sum()  # two of 1,000 for a moment, and a sum
        del first
        second = torch.ones(500)
    assert counted.peak == 4 * (100 + 1000 + 1000 + 1)
    assert counted.now == 4 * (100 + 500)
    assert second.numel() == 500


def test_the_measurement_of_busy_machines_leaves_the_kit_its_choice():
    """It chooses before torch is imported: a benchmark that imports it measures spinning twice."""
    ask = "import sys, benchmarks.speed.busy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], cwd=ROOT).returncode == 0
