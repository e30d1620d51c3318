"""Makes .venv beside this file, installs what a command needs, then runs the command in it:
python kit.py demo | lab | doctor | test [words for pytest] | any other distillkit command"""

import contextlib, hashlib, os, re, shutil, signal, subprocess, sys, time, urllib.request, venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV, PINS, OURS = ROOT / ".venv", ROOT / "constraints.txt", ROOT / "distillkit" / "__init__.py"
STAMP, LOG, PROJECT = VENV / "kit.stamp", VENV / "install.log", ROOT / "pyproject.toml"
WHEELS, MODELS = ROOT / "wheels", ROOT / "models"  # of a folder that `kit.py usb` filled
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CPU_WHEELS, CARD = "https://download.pytorch.org/whl/cpu", ("/dev/nvidia0", "/proc/driver/nvidia")
NVIDIA = bool(shutil.which("nvidia-smi")) or any(map(os.path.exists, CARD))
MENDS = {  # words in the output of a failed step -> what to do
    "no space left|not enough space": "free disk space: 3 GB, with an NVIDIA card 10 GB",
    "no module named ensurepip": "on Debian or Ubuntu: sudo apt install python3-venv",
    "connection|name resol|timed out|certificate": "go online (behind a proxy: set HTTPS_PROXY)",
    "no matching dist|different python": "delete .venv, use Python 3.11 to 3.14 (Intel Mac: Colab)"
    + f"; on a USB folder: the Python that {WHEELS} was filled for" * WHEELS.exists(),
    "": f"read {LOG}; if that does not help, delete {VENV}",
}


def stop(step, output, mend=None):
    words = next(words for words in MENDS if re.search(words, output, re.I))
    lines = [line for line in output.splitlines() if line.strip() and re.search(words, line, re.I)]
    mend = f"mend: {mend or MENDS[words]}; then run this again"
    sys.exit("\n  ".join([f"kit: FAILED: {step}", "reason:", *lines[-4:], mend]))


def pip_install(*words):
    print(end=f"kit: installing {words[-1]!a} ", flush=True)  # a folder may be of any letters
    pip, began = [PYTHON, "-m", "pip", "install", "--progress-bar=off", "-c", PINS], time.time()
    pip.append("--no-compile")  # Python compiles what is imported; all of it would take a minute
    pip += ["--no-index", "--find-links", WHEELS] if WHEELS.exists() else []
    with LOG.open("w") as log:
        child = subprocess.Popen(
            [*pip, *words],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PIP_USER": "0"},
        )  # not outside of .venv
        while child.poll() is None:  # a dot a second: it is alive
            time.sleep(1)
            print(end=".", flush=True)
    print(f" {time.time() - began:.0f} s")
    if child.returncode:
        stop(f"installing {words[-1]}", LOG.read_text(errors="replace"))


def install(extras):
    STAMP.unlink(missing_ok=True)
    if not PYTHON.exists() or not any(PYTHON.parent.glob("pip*")):
        print("kit: making .venv", flush=True)
        venv.create(VENV, clear=not PYTHON.exists(), symlinks=os.name != "nt", with_pip=True)
    index = []
    with contextlib.suppress(Exception):  # out of reach? The default index has PyTorch too
        plain = sys.platform == "linux" and not NVIDIA and not WHEELS.exists()
        if plain and urllib.request.urlopen(CPU_WHEELS, timeout=3):
            index = ["--extra-index-url", CPU_WHEELS]
    if not WHEELS.exists():
        pip_install("pip")  # Python 3.11's own takes twice as long for what follows
    pip_install(*index, next(p for p in PINS.read_text().split() if p.startswith("torch==")))
    pip_install("-e", f"{ROOT}[{','.join(sorted(extras))}]" if extras else str(ROOT))


def main(words):
    sys.version_info > (3, 11) or stop("checking Python", sys.version, "use Python 3.11 or newer")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or every start would compile everything
    if MODELS.exists():
        os.environ.setdefault("DISTILLKIT_MODELS", str(MODELS))
    state = hashlib.sha256(bytes(ROOT) + PINS.read_bytes() + PROJECT.read_bytes()).hexdigest()
    kept = STAMP.read_text().split() if STAMP.exists() and PYTHON.exists() else []
    few_bits = (
        NVIDIA or words[0] in ("lab", "test") or re.search("--quant|adamw-8bit", " ".join(words))
    )
    extras = {words[0]} & {"lab", "test"} | ({"quant"} if few_bits else set())
    if not {state, *extras} <= set(kept):
        install(extras := extras | set(kept[1:]))
        STAMP.write_text(" ".join([state, *sorted(extras)]))
    ask = "import importlib.util as u; print(u.find_spec('distillkit').origin)"
    found = subprocess.run([PYTHON, "-P", "-c", ask], capture_output=True, text=True).stdout.strip()
    if not os.path.exists(found) or not OURS.samefile(found):
        STAMP.unlink()
        stop(
            "checking the name distillkit",
            f"the import finds {found or 'nothing'}, not {OURS}",
            f"{PYTHON} -m pip uninstall distillkit (Arcee's has that name), unset PYTHONPATH",
        )
    for lint in (["check"], ["format", "--check", "-q"]) if words[0] == "test" else ():
        if subprocess.call([PYTHON, "-m", "ruff", *lint, ROOT]):
            return 1
    os.chdir(ROOT if words[0] == "test" else ".")
    start = ["pytest"] if words[0] == "test" else ["distillkit", words[0]]
    command = [PYTHON, "-P", "-m", *start, *words[1:]]
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command
        return subprocess.call(command)
    os.execv(PYTHON, command)


if __name__ == "__main__":
    try:
        sys.exit(__doc__ if sys.argv[1:] in ([], ["-h"], ["--help"]) else main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, subprocess.CalledProcessError) as error:
        stop("preparing .venv", f"{getattr(error, 'output', '')}\n{error}")
