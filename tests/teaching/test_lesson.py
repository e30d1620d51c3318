"""How a lesson starts, what it says about the machine, and a learner's own copy."""

from importlib.metadata import PackageNotFoundError

import nbformat
import pytest

import distillkit as dk
from distillkit import cli, doctor
from distillkit.teaching import lesson as lessons


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("DISTILLKIT_FAST", "DISTILLKIT_TIER"):
        monkeypatch.delenv(name, raising=False)


def installed(monkeypatch, **versions):
    """Let these versions be installed, and no others."""

    def version(name):
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(lessons, "version", version)


# --- start_lesson --------------------------------------------------------------------------


def test_a_lesson_says_what_the_machine_is_and_how_long_it_takes(capsys):
    machine = dk.start_lesson("00")
    printed = capsys.readouterr().out
    # the first line, of versions, may be a little longer
    assert all(len(line) <= 88 for line in printed.splitlines()[1:]), "broken inside of words"
    printed = " ".join(printed.split())
    lesson = lessons.find("00")
    assert f"distillkit {dk.__version__}" in printed
    for word in ("python 3.", "torch 2.", "transformers 5.", "ipywidgets"):
        assert word in printed
    assert f"{machine.tier} tier: " in printed
    assert all(reason in printed for reason in machine.why), "a reader learns from the reasons"
    assert f"lesson 00, {lesson.title}: {lesson.expected()}" in printed
    assert lesson.minutes in lesson.expected() and lesson.machine in lesson.expected()
    assert "FAULT" not in printed and "fast mode" not in printed
    assert machine.fast is False and machine.seed == 0


@pytest.mark.parametrize(
    ("number", "tier", "dtype", "gflops", "words"),
    [
        ("00", "cpu", "float32", 100, "this machine computes in float32: expect up to 5 times"),
        ("00", "cpu", "float32", 400, ""),  # as fast as the minutes
        ("00", "cpu", "bfloat16", 100, ""),
        ("00", "gpu", "float32", 100, ""),
        ("00", "tiny", "float32", 100, ""),  # a smaller student, in every fast mode
        ("05", "cpu", "float32", 100, ""),  # a lesson without a student
    ],
)
def test_a_lesson_says_how_much_longer_it_takes_in_float32(
    monkeypatch, number, tier, dtype, gflops, words
):
    seconds = 2e-9 * 256 * 896 * 4864 / gflops
    monkeypatch.setattr(lessons, "product_seconds", lambda kind, rows: {kind: seconds})
    machine = lessons.Session(tier, "any", dtype, "a student", 0)
    said = lessons.longer_words(lessons.find(number), machine)
    assert said == words + (" as many minutes" if words else "")


@pytest.mark.parametrize(("value", "fast"), [("1", True), ("0", False), ("", False)])
def test_fast_mode_takes_the_tiny_tier(monkeypatch, capsys, value, fast):
    monkeypatch.setenv("DISTILLKIT_FAST", value)
    machine = dk.start_lesson("0", seed=3)
    assert machine.fast is fast and (machine.tier == "tiny") is fast and machine.seed == 3
    assert ("fast mode" in capsys.readouterr().out) is fast


def test_an_unknown_lesson_names_those_there_are():
    with pytest.raises(ValueError, match=r"no lesson '77'.*00, 01"):
        dk.start_lesson("77")


def test_a_lesson_without_torch_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(lessons, "requires", lambda name: ["torch>=2.6,<3"])
    installed(monkeypatch)
    with pytest.raises(RuntimeError, match="needs torch"):
        dk.start_lesson("00")
    assert "FAULT: torch is missing: python3 kit.py doctor installs it" in capsys.readouterr().out


def test_faults_name_the_version_and_the_mend(monkeypatch):
    needs = ["torch>=2.6,<3", "transformers>=5.0,<6", "gguf>=0.10", 'pytest>=8; extra == "test"']
    monkeypatch.setattr(lessons, "requires", lambda name: needs)
    installed(monkeypatch, torch="2.6.0+cu124", transformers="4.57.1")
    old, missing = lessons.faults()
    assert old.startswith("transformers 4.57.1 is installed, <6,>=5.0 is needed: ")
    assert missing.startswith("gguf is missing: ")
    monkeypatch.setattr(lessons, "command_name", lambda: "distillkit")
    assert '--no-deps "gguf>=0.10"' in lessons.faults()[1], "Colab's own packages stay as they are"


def test_a_checkout_that_is_not_installed_still_names_what_is_missing(monkeypatch):
    def requires(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(lessons, "requires", requires)
    installed(monkeypatch, torch="2.13.0", ipywidgets="8.1.9")
    assert [fault.split()[0] for fault in lessons.faults()] == ["transformers"]


def test_this_environment_has_no_faults():
    assert lessons.faults() == []


# --- a copy of one's own -------------------------------------------------------------------


def lesson(text):
    """A lesson with a text and a cell, which has run."""
    ran = {"outputs": [nbformat.v4.new_output("stream", text="42")], "execution_count": 7}
    words = nbformat.v4.new_markdown_cell(text, id="a")
    return nbformat.v4.new_notebook(
        cells=[words, nbformat.v4.new_code_cell("6 * 7", id="b", **ran)]
    )


def with_nothing_run(notebook):
    """The same notebook before its first cell."""
    notebook.cells[1] |= {"outputs": [], "execution_count": None}
    return notebook


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder of lessons with one that is built."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(lesson("the lesson"), folder / "00_start_here.ipynb")
    monkeypatch.setattr(lessons, "notebooks_folder", lambda: folder)
    return folder


def test_a_copy_is_made_once_and_never_overwritten(checkout, capsys):
    assert cli.main(["lesson", "00", "--copy"]) == 0
    mine = checkout / "mine" / "00_start_here.ipynb"
    said = capsys.readouterr().out
    assert f"your copy: {mine}" in said and f"stand in {checkout / mine.name}" in said
    assert nbformat.read(mine, 4) == with_nothing_run(lesson("the lesson"))
    assert nbformat.read(checkout / mine.name, 4) == lesson("the lesson")
    mine.write_text("my work")
    assert cli.main(["lesson", "00", "--copy"]) == 1
    assert "exists and is kept" in capsys.readouterr().err
    assert mine.read_text() == "my work"
    other = checkout.parent / "a" / "b"
    assert cli.main(["lesson", "0", "--copy", "--to", str(other)]) == 0
    assert nbformat.read(other / mine.name, 4) == with_nothing_run(lesson("the lesson"))
    assert mine.read_text() == "my work"


def test_a_copy_in_chinese_stands_beside_the_english_one(checkout, capsys):
    (checkout / "zh").mkdir()
    nbformat.write(lesson("第一课"), checkout / "zh" / "00_start_here.ipynb")
    assert cli.main(["lesson", "00", "--copy", "--lang", "zh"]) == 0
    mine = checkout / "mine" / "zh" / "00_start_here.ipynb"
    assert f"your copy: {mine}" in capsys.readouterr().out
    assert nbformat.read(mine, 4) == with_nothing_run(lesson("第一课"))
    assert cli.main(["lesson", "00", "--lang", "zh"]) == 0
    assert "lesson 00 --copy --lang zh" in capsys.readouterr().out


def test_the_command_says_where_a_lesson_is_and_lists_them(checkout, capsys):
    assert cli.main(["lesson", "00"]) == 0
    printed = capsys.readouterr().out
    assert f"the lesson: {checkout / '00_start_here.ipynb'}" in printed
    assert "python3 kit.py lab" in printed and "--copy" in printed
    assert cli.main(["lesson"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lessons.all_lessons())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["77"], "there is no lesson '77'"),
        (["12"], "is not built yet"),
        (["12", "--copy"], "is not built yet"),
        (["00", "--to", "x"], "add --copy"),
        (["--copy"], "say which lesson"),
        (["--lang", "zh"], "say which lesson"),
        (["00", "--lang", "zh"], "is not there in the language zh yet"),
    ],
)
def test_the_command_says_what_is_wrong(checkout, capsys, words, message):
    assert cli.main(["lesson", *words]) == 1
    assert message in capsys.readouterr().err
    assert not (checkout / "mine").exists()


def test_an_installed_package_names_the_address_of_the_notebooks(monkeypatch, capsys):
    monkeypatch.setattr(lessons, "notebooks_folder", lambda: None)
    assert cli.main(["lesson", "00", "--copy"]) == 1
    assert f"{lessons.address()}/tree/HEAD/notebooks" in capsys.readouterr().err
    assert lessons.address().startswith("https://")


def test_the_doctor_names_a_missing_torch_and_ends(monkeypatch, capsys):
    monkeypatch.setattr(lessons, "faults", lambda: ["torch is missing: install it"])
    monkeypatch.setattr(doctor, "start", lambda: 1 / 0)
    assert doctor.examine() == ["torch is missing: install it"]
    assert "FAULT        torch is missing" in capsys.readouterr().out
