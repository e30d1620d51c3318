"""The frame around the kit: packaging, the environment files, kit.py and what no source may do."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAMED_IN_ENVIRONMENT = {  # the packages that environment.yml has to name itself
    "jupyterlab", "ipywidgets", "torch", "transformers", "datasets", "peft", "matplotlib",
    "bitsandbytes",
}  # fmt: skip
MODULES = sorted((ROOT / "distillkit").rglob("*.py"))


def requirements(*extras):
    """Return {canonical name: Requirement} of the core and the named extras."""
    lines = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        lines += PROJECT["project"]["optional-dependencies"][extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


@pytest.mark.parametrize(
    ("system", "processor", "release", "there"),
    [("linux", "x86_64", "6.8", True), ("linux", "aarch64", "6.8", True),
     ("linux", "riscv64", "6.8", False), ("win32", "AMD64", "11", True),
     ("darwin", "arm64", "23.1.0", True), ("darwin", "arm64", "22.6.0", False),
     ("darwin", "x86_64", "23.1.0", False)],
)  # fmt: skip
def test_bitsandbytes_is_asked_for_where_it_has_a_wheel(system, processor, release, there):
    names = {"sys_platform": system, "platform_machine": processor, "platform_release": release}
    assert requirements("quant")["bitsandbytes"].marker.evaluate(names) is there


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


# --- the address of the repository ---------------------------------------------------------

PLACEHOLDER = "https://github.com/distillkit/distillkit"
ADDRESS = PROJECT["project"]["urls"]["Repository"]


def test_the_address_stands_in_one_place():
    """What names it is built from pyproject.toml: the notebooks, and nothing else."""
    name = ADDRESS.removeprefix("https://github.com/")
    built = {*(ROOT / "notebooks").rglob("*.ipynb")}
    texts = [p for kind in ("py", "md", "yml", "toml", "csv") for p in ROOT.rglob(f"*.{kind}")
             if not {".venv", "runs", "mine"} & {*p.relative_to(ROOT).parts}]  # fmt: skip
    for path in texts:
        if path not in (ROOT / "pyproject.toml", Path(__file__)):
            assert f"github.com/{name}" not in path.read_text(encoding="utf-8"), path
    addresses = "".join(path.read_text(encoding="utf-8") for path in built)
    assert f"{ADDRESS}/archive/HEAD.zip" in addresses


def test_the_address_is_that_of_a_repository():
    if ADDRESS == PLACEHOLDER:
        pytest.skip(f"{ADDRESS} is only a placeholder: put the real one into pyproject.toml and "
                    "build the notebooks again, or badges and Colab lead nowhere")  # fmt: skip
    assert re.fullmatch(r"https://[\w.-]+/[\w.-]+/[\w.-]+", ADDRESS)


# --- packaging -----------------------------------------------------------------------------


def test_project_names_licence_python_and_command():
    project = PROJECT["project"]
    assert (project["name"], project["license"]) == ("distillkit", "Apache-2.0")
    assert project["requires-python"] == ">=3.11"
    assert project["scripts"] == {"distillkit": "distillkit.cli:main"}
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence


def test_every_requirement_has_a_lower_bound_and_only_a_major_upper_bound():
    for requirement in requirements("lab", "quant", "test").values():
        bounds = {s.operator: s.version for s in requirement.specifier}
        assert set(bounds) == {">=", "<"} or requirement.name in {"packaging"}, requirement
        assert "." not in bounds.get("<", "1"), f"{requirement}: stop only the next major"


def test_environment_has_the_names_and_bounds_of_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == "distillkit"
    assert environment["channels"] == ["conda-forge"]
    conda, (pip,) = environment["dependencies"][:2], environment["dependencies"][2:]
    assert conda == ["python=3.11", "pip"]
    assert pip["pip"][-1] == "-e ."
    listed = {canonicalize_name(r.name): r for r in map(Requirement, pip["pip"][:-1])}
    assert set(listed) >= NAMED_IN_ENVIRONMENT
    assert listed == requirements("lab", "quant")


def test_constraints_pin_every_requirement_inside_its_bounds():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in lines:
        if line.startswith("#"):
            continue
        name, _, version = line.partition(";")[0].partition("==")
        assert version and "+" not in version and "@" not in line, f"not a plain pin: {line}"
        assert canonicalize_name(name) not in pins, f"pinned twice: {name}"
        pins[canonicalize_name(name)] = Version(version)
    assert pins["torch"] == Version("2.13.0")
    assert "trl" not in pins and "distillkit" not in pins
    for name, requirement in requirements("lab", "quant", "serve", "test").items():
        assert name in pins, f"constraints.txt has no pin for {name}"
        assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}"


def data_files():
    """The files of data/ that an installed package has to have."""
    paths = (p for p in (ROOT / "data").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(ROOT / "data").as_posix() for p in paths if not p.name.startswith(".")}


def test_package_data_covers_every_file_in_data():
    tool = PROJECT["tool"]["setuptools"]
    assert tool["package-dir"] == {"distillkit": "distillkit", "distillkit.data": "data"}
    patterns = tool["package-data"]["distillkit.data"]
    stray = {name for name in data_files() if not any(
        fnmatch(name, p) and name.count("/") == p.count("/") for p in patterns)}  # fmt: skip
    assert not stray, f"pyproject.toml's package-data leaves these out: {sorted(stray)}"


def test_wheel_has_the_data_and_the_modules(tmp_path):
    needed = PROJECT["build-system"]["requires"][0]
    try:
        found = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        found = "0"
    if not Requirement(needed).specifier.contains(found):
        pytest.skip(f"building a wheel here needs {needed}")
    tree = tmp_path / "tree"  # a copy: a build leaves its folders beside the sources
    shutil.copytree(ROOT / "data", tree / "data")
    shutil.copytree(ROOT / "distillkit", tree / "distillkit")
    for name in ("pyproject.toml", "setup.py", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*build, "-w", tmp_path, tree], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("distillkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    assert {f"distillkit/data/{name}" for name in data_files()} <= names
    assert {path.relative_to(ROOT).as_posix() for path in MODULES} <= names
    look = "from distillkit.runtime.session import data_path; print(data_path('models.json'))"
    inside = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    answer = subprocess.run(
        [sys.executable, "-P", "-c", look], env=inside, capture_output=True, text=True, check=True
    )
    path = Path(answer.stdout.strip())
    assert path.samefile(tmp_path / "site" / "distillkit" / "data" / "models.json")


STAND_IN = """#!/bin/sh
echo "$(basename "$0") $* threads=$OMP_NUM_THREADS browser=$DISTILLKIT_REQUIRE_BROWSER" >>"$CALLS"
echo "output of $(basename "$0") $*"
case "$0 $*" in *"$FAILS"*) exit 3 ;; esac
"""


def continuous_integration(folder, *words, fails="nothing"):
    """Run .ci/run with stand-ins for Python and the browser; return exit code, output, calls."""
    for name in (".ci/run", "bin/python3", "bin/chromium", "tests/ipywidgets7.sh"):
        (folder / name).parent.mkdir(exist_ok=True)
        if name != ".ci/run":
            (folder / name).write_text(STAND_IN)
            (folder / name).chmod(0o755)
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    inside = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    done = subprocess.run([folder / ".ci" / "run", *words], env={**inside, "FAILS": fails},
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    return done.returncode, done.stdout, (folder / "calls").read_text().splitlines()


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_continuous_integration_lints_and_runs_every_test_once(tmp_path):
    code, said, calls = continuous_integration(tmp_path)
    assert code == 0 and calls[0] == "python3 kit.py test --version threads= browser="
    one = " threads=1 browser=1"
    assert all(call.endswith(one) for call in calls[1:])
    (lessons,) = (call for call in calls if call.startswith("python3 kit.py test tests/"))
    paths = re.findall(r"tests/\S+", lessons)
    others = " ".join(f"--ignore={path}" for path in paths)
    assert sorted(calls[1:]) == sorted(
        [lessons, f"python3 kit.py test {others}{one}", f"ipywidgets7.sh {one}"]
    )
    assert all((ROOT / path).is_file() for path in paths)
    assert all(f"output of {call.removesuffix(one)}" in said for call in calls[1:])
    assert os.access(ROOT / "tests" / "ipywidgets7.sh", os.X_OK)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize("fails", ["--version", "--ignore", "test tests/", "ipywidgets7"])
def test_continuous_integration_fails_with_each_of_its_parts(tmp_path, fails):
    code, said, _ = continuous_integration(tmp_path, fails=fails)
    assert code == 3 and "output of python3" in said


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_continuous_integration_passes_words_on(tmp_path):
    _, _, calls = continuous_integration(tmp_path, "tests/test_frame.py", "-k", "two words")
    assert len(calls) == 2
    assert calls[1] == "python3 kit.py test tests/test_frame.py -k two words threads= browser=1"


# --- rules for the sources -----------------------------------------------------------------


UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "sympy"}
UNSAFE_NAMES = {"eval", "exec", "sympify", "parse_expr", "__import__"}
UNSAFE_WORDS = {"trust_remote_code", "allow_pickle"}


def unsafe_parts(tree):
    """Yield what in a module could run code that came from a model, a file or a hub."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in UNSAFE_NAMES | UNSAFE_MODULES:
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from (n for n in names if n.split(".")[0] in UNSAFE_MODULES | UNSAFE_NAMES)
        elif isinstance(node, ast.keyword) and node.arg in UNSAFE_WORDS:
            if ast.unparse(node.value) != "False":
                yield node.arg
        elif isinstance(node, ast.Constant) and node.value in UNSAFE_WORDS:
            yield node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True"
                       for k in node.keywords)  # fmt: skip
            if not safe:
                yield "torch.load without weights_only=True"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_no_module_runs_foreign_code(path):
    assert not list(unsafe_parts(parse(path)))


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "import pickle",
        "from sympy import sympify",
        "from pickle import loads",
        "load(name, trust_remote_code=True)",
        "load(name, trust_remote_code=asked)",
        "load(name, **{'trust_remote_code': True})",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "run = exec",
    ],
)
def test_the_safety_check_sees(source):
    assert list(unsafe_parts(ast.parse(source)))


def test_the_safety_check_lets_pass_what_is_safe():
    source = "model.eval(); torch.load(path, weights_only=True); re.compile('a')"
    assert not list(unsafe_parts(ast.parse(source)))


def test_no_file_names_a_private_place():
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    # Joined here, so that this file does not contain them.
    private = ["/work" + tail for tail in ("/main", "/shared", "/.library")]
    private += ["/opt" + tail for tail in ("/pypi", "/wheels")]
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, output.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        found = [text for text in private if text.encode() in content]
        assert not found, f"{name} mentions {found}"


# --- other ways to start -------------------------------------------------------------------


def test_a_devcontainer_has_an_explicit_image_and_room_and_is_set_up_by_kit_py():
    found = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    name, _, tag = found["image"].partition(":")
    assert name.startswith("mcr.microsoft.com/devcontainers/python") and re.match(r"\d", tag)
    assert re.search(r"-3\.1[1-4]-", f"-{tag}-"), "a Python that the kit runs on"
    assert found["hostRequirements"] == {"cpus": 2, "memory": "8gb", "storage": "32gb"}
    assert found["postCreateCommand"].split()[1:3] == ["kit.py", "lab"]
    python = found["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python == "${containerWorkspaceFolder}/.venv/bin/python"


def test_binder_installs_the_pinned_versions_and_what_the_lessons_need():
    lines = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    (pins,) = (line.split()[1] for line in lines if line.startswith("-c "))
    assert (ROOT / ".binder" / pins).resolve() == ROOT / "constraints.txt"
    assert ".[lab]" in lines and "torch" in lines
    assert (ROOT / ".binder" / "runtime.txt").read_text().strip() == "python-3.12"


# --- kit.py --------------------------------------------------------------------------------


def test_kit_needs_only_the_standard_library():
    source = (ROOT / "kit.py").read_text(encoding="utf-8")
    assert source.isascii(), "a Windows console may not print other characters"
    tree = ast.parse(source, feature_version=(3, 8))  # an old Python has to reach the message
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names, name


class Machine:
    """A checkout in a temporary folder, and stand-ins for pip, venv and Python."""

    def __init__(self, root, monkeypatch):
        self.root, self.monkeypatch = root, monkeypatch
        self.pip_calls, self.started, self.ruff_calls = [], [], []
        self.pip_output, self.pip_code, self.ruff_code = "", 0, 0
        self.pip_good = 0  # calls before the one that ends with this output and code
        self.cpu_wheels_answer = False
        (root / "distillkit").mkdir(parents=True)
        (root / "notebooks").mkdir()
        self.ours = root / "distillkit" / "__init__.py"
        self.ours.touch()
        self.found = str(self.ours)
        for name in ("kit.py", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, root / name)
        self.kit = self.load()

    def load(self):
        spec = importlib.util.spec_from_file_location("kit_under_test", self.root / "kit.py")
        kit = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(kit)
        names = ("STDOUT", "CalledProcessError")
        kit.subprocess = SimpleNamespace(
            Popen=self.popen, run=self.run, call=self.call,
            **{name: getattr(subprocess, name) for name in names},
        )  # fmt: skip
        kit.venv = SimpleNamespace(create=self.create)
        kit.urllib = SimpleNamespace(request=SimpleNamespace(urlopen=self.urlopen))
        kit.NVIDIA = False
        self.monkeypatch.setattr(kit.os, "execv", self.execv)
        return kit

    def create(self, folder, clear, symlinks, with_pip):
        self.kit.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        self.kit.PYTHON.touch()
        (self.kit.PYTHON.parent / "pip").touch()

    def popen(self, command, cwd, stdout, stderr, env):
        assert env["PIP_USER"] == "0"  # a user's setting would install outside of .venv
        self.pip_calls.append([str(word) for word in command])
        if len(self.pip_calls) <= self.pip_good:
            return SimpleNamespace(poll=lambda: 0, returncode=0)
        stdout.write(self.pip_output)
        return SimpleNamespace(poll=lambda: self.pip_code, returncode=self.pip_code)

    def run(self, command, capture_output, text):
        return SimpleNamespace(stdout=self.found + "\n")

    def call(self, command):
        if "ruff" in command:
            self.ruff_calls.append(command)
            return self.ruff_code
        return self.execv(command[0], command) or 0

    def urlopen(self, url, timeout):
        if not self.cpu_wheels_answer:
            raise OSError("unreachable")
        assert timeout <= 3
        return object()

    def execv(self, program, command):
        self.started.append([str(word) for word in command[1:]])

    def __call__(self, *words):
        self.pip_calls.clear()
        self.started.clear()
        return self.kit.main(list(words))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Machine(tmp_path / "checkout", monkeypatch)


def test_kit_installs_once_and_starts_the_command(machine):
    machine("demo", "--tier", "tiny")
    newer_pip, torch, package = machine.pip_calls
    assert newer_pip[-1] == "pip" and "-c" in newer_pip
    assert torch[-1] == "torch==2.13.0"
    assert package[-2:] == ["-e", str(machine.root)]
    assert str(machine.root / "constraints.txt") in torch and "-c" in package
    assert machine.started == [["-P", "-m", "distillkit", "demo", "--tier", "tiny"]]
    machine("doctor")
    assert machine.pip_calls == []
    assert machine.started == [["-P", "-m", "distillkit", "doctor"]]


def test_what_is_not_compiled_at_the_installation_is_kept_when_it_is(machine, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # as in many container images
    machine("demo")
    assert all("--no-compile" in call for call in machine.pip_calls)
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ


def test_kit_installs_extras_only_when_a_command_needs_them(machine):
    machine("demo")
    machine("lab", "--no-browser")
    assert machine.pip_calls[-1][-1] == f"{machine.root}[lab,quant]"
    assert machine.started == [["-P", "-m", "distillkit", "lab", "--no-browser"]]
    machine("test", "-k", "frame")
    assert machine.pip_calls[-1][-1] == f"{machine.root}[lab,quant,test]"
    assert machine.started == [["-P", "-m", "pytest", "-k", "frame"]]
    assert Path.cwd() == machine.root
    machine("lab")
    machine("demo")
    assert machine.pip_calls == []


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_kit_installs_again_when_a_file_changed(machine, name):
    machine("test")
    with (machine.root / name).open("a") as file:
        file.write("# changed\n")
    machine("demo")
    assert machine.pip_calls[-1][-1] == f"{machine.root}[quant,test]", "extras that were in stay"
    machine("demo")
    assert machine.pip_calls == []


def test_kit_installs_again_when_python_is_gone_or_the_folder_moved(machine):
    machine("demo")
    machine.kit.PYTHON.unlink()
    machine("demo")
    assert len(machine.pip_calls) == 3
    moved = machine.root.with_name("moved")
    machine.root.rename(moved)
    machine.root, machine.found = moved, str(moved / "distillkit" / "__init__.py")
    machine.kit = machine.load()
    machine("demo")
    assert len(machine.pip_calls) == 3


def test_kit_takes_cpu_wheels_only_on_linux_without_a_card_and_within_reach(machine):
    option = ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]
    machine.cpu_wheels_answer = True
    machine.kit.sys = SimpleNamespace(**{**vars(sys), "platform": "linux"})
    machine.kit.install(set())
    assert machine.pip_calls[1][-3:] == [*option, "torch==2.13.0"]
    machine.pip_calls.clear()
    machine.cpu_wheels_answer = False
    machine.kit.install(set())
    machine.cpu_wheels_answer = True
    machine.kit.NVIDIA = True
    machine.kit.install(set())
    machine.kit.NVIDIA = False
    machine.kit.sys.platform = "darwin"
    machine.kit.install(set())
    assert len(machine.pip_calls) == 9
    assert not any(option[0] in call for call in machine.pip_calls)


def test_kit_asks_no_index_in_a_folder_with_wheels_and_finds_the_models_there(machine):
    machine.cpu_wheels_answer = True
    (machine.root / "wheels").mkdir()
    (machine.root / "models").mkdir()
    machine.monkeypatch.setenv("DISTILLKIT_MODELS", "")  # so that it is put back afterwards
    machine.monkeypatch.delenv("DISTILLKIT_MODELS")
    machine("demo")
    assert len(machine.pip_calls) == 2
    for call in machine.pip_calls:
        at = call.index("--no-index")
        assert call[at + 1 : at + 3] == ["--find-links", str(machine.root / "wheels")]
        assert "--extra-index-url" not in call
    assert os.environ["DISTILLKIT_MODELS"] == str(machine.root / "models")
    machine.monkeypatch.setenv("DISTILLKIT_MODELS", "elsewhere")
    machine("doctor")
    assert os.environ["DISTILLKIT_MODELS"] == "elsewhere", "the user's own setting wins"


def test_kit_adds_quantisation_where_there_is_a_card(machine):
    machine.kit.NVIDIA = True
    machine("demo")
    assert machine.pip_calls[-1][-1] == f"{machine.root}[quant]"


def test_kit_adds_quantisation_where_it_is_asked_for(machine):
    machine("demo", "--quant", "nf4")
    assert machine.pip_calls[-1][-1] == f"{machine.root}[quant]"
    machine("test")
    assert machine.pip_calls[-1][-1] == f"{machine.root}[quant,test]"


@pytest.mark.parametrize(
    ("output", "mend"),
    [
        ("ERROR: [Errno 28] No space left on device", "free disk space"),
        ("connection broken by 'NewConnectionError'\nERROR: ResolutionImpossible", "go online"),
        ("ERROR: No matching distribution found for torch==2.13.0", "Python 3.11 to 3.14"),
        ("ERROR: Package requires a different Python: 3.9.1", "Python 3.11 to 3.14"),
        ("ERROR: ResolutionImpossible\nthe last line", "install.log"),
    ],
)
def test_kit_names_the_step_the_reason_and_the_mend(machine, output, mend):
    machine("demo")
    (machine.root / "constraints.txt").write_text("torch==2.13.0\n")
    machine.pip_output, machine.pip_code = "a line\n" + output + "\n", 1
    with pytest.raises(SystemExit) as stopped:
        machine("demo")
    message = str(stopped.value)
    assert "FAILED: installing pip" in message
    assert any(line in message for line in output.splitlines())
    if "go online" in mend:
        assert "NewConnectionError" in message, "the telling line, not only the last one"
    assert mend in message.partition("mend:")[2]
    assert not machine.kit.STAMP.exists() and machine.started == []
    machine.pip_code = 0
    machine("demo")
    assert len(machine.pip_calls) == 3, "a failed install is tried again"


@pytest.mark.parametrize(("good", "step"), [(0, "pip"), (1, "torch==2.13.0"), (2, "{root}")])
def test_kit_names_each_part_whose_installation_fails(machine, good, step):
    machine.pip_output, machine.pip_code, machine.pip_good = "no route to host\n", 1, good
    with pytest.raises(SystemExit, match="no route to host") as stopped:
        machine("demo")
    step = step.format(root=machine.root)
    assert f"FAILED: installing {step}\n" in str(stopped.value)
    assert len(machine.pip_calls) == good + 1 and not machine.kit.STAMP.exists()


@pytest.mark.parametrize("when", ["after an install", "later"])
def test_kit_refuses_a_foreign_distillkit(machine, tmp_path, when):
    if when == "later":
        machine("demo")
    foreign = tmp_path / "site-packages" / "distillkit" / "__init__.py"
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    machine.found = str(foreign)
    with pytest.raises(SystemExit) as stopped:
        machine("demo")
    assert str(foreign) in str(stopped.value)
    assert "pip uninstall distillkit" in str(stopped.value)
    assert machine.started == []
    machine.found = str(machine.ours)
    machine("demo")
    assert len(machine.pip_calls) == 3, "ours is installed again once the other is gone"


def test_kit_refuses_an_old_python(machine):
    machine.kit.sys = SimpleNamespace(version_info=(3, 10, 4), version="3.10.4", exit=sys.exit)
    with pytest.raises(SystemExit, match=r"3\.10\.4[\s\S]*Python 3\.11 or newer"):
        machine("demo")


def test_kit_stops_before_pytest_when_ruff_finds_something(machine):
    machine.ruff_code = 1
    assert machine("test") == 1
    assert machine.ruff_calls and machine.started == []


def test_kit_without_a_command_prints_its_use():
    for words in ([], ["--help"]):
        run = subprocess.run(
            [sys.executable, ROOT / "kit.py", *words], capture_output=True, text=True
        )
        assert "kit.py demo | lab" in run.stderr and run.returncode == 1


def run_kit_with(tmp_path, create):
    """Run kit.py in an empty folder with `create` in the place of venv.create."""
    for name in ("kit.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "start.py").write_text(
        "import os, runpy, signal, subprocess, venv\n"
        f"def create(*args, **kwargs):\n    {create}\n"
        "venv.create = create\n"
        "runpy.run_path('kit.py', run_name='__main__')\n"
    )
    command = [sys.executable, "start.py", "demo"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_kit_is_quiet_on_control_c(tmp_path):
    run = run_kit_with(tmp_path, "os.kill(os.getpid(), signal.SIGINT)")
    assert (run.returncode, run.stderr) == (130, "")


@pytest.mark.parametrize(
    ("failure", "reason", "mend"),
    [
        (
            "subprocess.CalledProcessError(1, 'python', b'No module named ensurepip')",
            "No module named ensurepip",
            "sudo apt install python3-venv",
        ),
        ("OSError(28, 'No space left on device')", "No space left on device", "free disk space"),
        ("PermissionError(13, 'Permission denied')", "Permission denied", "delete"),
    ],
)
def test_kit_says_why_there_is_no_environment(tmp_path, failure, reason, mend):
    run = run_kit_with(tmp_path, f"raise {failure}")
    assert run.returncode == 1
    assert "FAILED: preparing .venv" in run.stderr and "Traceback" not in run.stderr
    before, _, after = run.stderr.partition("mend:")
    assert reason in before and mend in after


@pytest.mark.parametrize("words", [["--quant=nf4"], ["--optimizer", "adamw-8bit"]])
def test_kit_adds_quantisation_however_it_is_asked_for(machine, words):
    machine("distill", *words)
    assert machine.pip_calls[-1][-1] == f"{machine.root}[quant]"
