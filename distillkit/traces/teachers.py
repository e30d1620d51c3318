"""Teachers: four ways to get candidate solutions, one method, every candidate journaled.

    teacher("solver")                     exact steps, no model
    teacher("recorded")                   the candidates in data/, made once by a real model
    teacher("hf:Qwen/Qwen2.5-7B-Instruct")            a local model, few-shot in the template
    teacher("openai:deepseek-chat@https://…/v1")      any OpenAI-compatible server

A candidate is one line of JSONL: id, problem, teacher, candidate, text, finish, tokens, seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillkit.models.chats import opened
from distillkit.models.loading import fingerprint
from distillkit.problems.algebra import parse_system
from distillkit.problems.equations import FAMILIES, Problem, ProblemRecord
from distillkit.problems.trace_forms import FOR_SYSTEMS, trace_form
from distillkit.runtime.files import Journal, digest, odd_field, read_lines, read_utf8
from distillkit.runtime.session import Session, data_path
from distillkit.traces.candidates import (
    CANDIDATE,
    Candidate,
    OnCandidate,
    Teacher,
    TeacherError,
    TeacherRecord,
    candidate_fault,
    candidate_row,
    journaled,
    must_be_temperature,
)
from distillkit.traces.server_teacher import Server
from distillkit.traces.templates import (
    SHOTS,
    THINK,
    Template,
    prompt_mark,
    prompt_text,
    render_solution,
)

RECORDED = "teacher_qwen2.5-coder-1.5b.jsonl"
_PROBLEM = dict.fromkeys(ProblemRecord.__annotations__, str)


def teacher(name: str, machine: Session | None = None, **options: Any) -> Teacher:
    """Build a teacher from its name; raises ValueError for an unknown kind.

    A local model runs where `machine` says (default: on the CPU in float32), and is loaded when it
    is first asked.
    """
    kind, _, rest = name.partition(":")
    if kind == "solver":
        return Solver(form=rest or "terse", **options)
    if name == "recorded":
        return Recorded(**options)
    if kind == "hf" and rest:
        where = {"device": machine.device, "dtype": machine.dtype} if machine else {}
        return Local(asked=rest, **where, **options)
    model, _, address = rest.partition("@http")
    base_url = "http" + address
    if kind == "openai" and model and address:
        return Server(model, base_url, **options)
    raise ValueError(
        f"unknown teacher {name!r}: use 'recorded', 'solver', 'hf:<model or folder>' or "
        "'openai:<model>@<base url>', for example openai:qwen2.5:7b@http://localhost:11434/v1"
    )


@dataclass
class Solver(Teacher):
    """Writes the exact solution in a template and a trace form; makes no mistakes."""

    spare = 1.0

    template: Template = THINK
    form: str = "terse"

    def __post_init__(self):
        trace_form(self.form)  # an unknown one is refused here, not at the first problem

    @property
    def name(self) -> str:
        """Return the name by which `teacher` builds it."""
        return "solver" if self.form == "terse" else f"solver:{self.form}"

    def tries(self, k):
        """Return 1: more would be copies."""
        return 1

    def sample(self, problems, k=4, temperature=0.7, seed=0, journal=None, on_done=None):
        """Return one exact candidate a problem: see `Teacher.sample`."""
        systems = [] if self.form in FOR_SYSTEMS else problems
        system = next((p.text for p in systems if len(parse_system(p.equation)) > 1), "")
        if system:
            raise TeacherError(
                f"the form {self.form!r} cannot write {system!r}: take solver or solver:collect, "
                "or families without systems"
            )
        about: TeacherRecord = {
            "name": self.name, "source": "exact arithmetic", "template": self.template.name
        }  # fmt: skip

        def make(missing: list[tuple[Problem, int]], report: OnCandidate) -> None:
            for problem, number in missing:
                text = render_solution(problem, self.template, self.form)
                report(candidate_row(problem, about, number, text=text, finish="eos",
                                  tokens=0, seconds=0.0))  # fmt: skip

        return journaled(problems, self.tries(k), about, journal, on_done, make,
                         prompt_mark(None, self.template, form=self.form))  # fmt: skip


class Recorded(Teacher):
    """Replays the candidates that a real model once gave: `data/README.md` says which."""

    def __init__(self, path: str | Path | None = None):
        self.path = Path(path) if path else data_path(RECORDED)
        self.rows: dict[str, list[Candidate]] = {}
        for number, row in read_lines(self.path):
            if fault := candidate_fault(row) or odd_field(row, {"problem": _PROBLEM}):
                raise TeacherError(f"{self.path}, line {number} is no candidate: {fault}")
            self.rows.setdefault(row["problem"]["id"], []).append(row)
        if not self.rows:
            raise TeacherError(f"{self.path} holds no candidates: name another recording")
        self.content = digest(read_utf8(self.path))
        self.name = "recorded: " + next(iter(self.rows.values()))[0]["teacher"]["name"]

    def problems(self, families: Iterable[str] | None = None) -> list[Problem]:
        """Return the recorded problems, of the given families, in the recorded order.

        Raises ValueError for a family that neither the recording nor the kit knows.
        """
        chosen = None if families is None else set(families)
        records = [rows[0]["problem"] for rows in self.rows.values()]
        recorded = {record["family"] for record in records}
        if unknown := (chosen or set()) - recorded - set(FAMILIES):
            raise ValueError(
                f"no problem of {', '.join(sorted(unknown))} was recorded: choose from "
                f"{', '.join(sorted(recorded))}"
            )
        problems = [Problem(**{name: record[name] for name in _PROBLEM}) for record in records]
        return [p for p in problems if chosen is None or p.family in chosen]

    def sample(self, problems, k=4, temperature=0.7, seed=0, journal=None, on_done=None):
        """Return up to `k` recorded candidates a problem: see `Teacher.sample`."""
        unknown = [p.text for p in problems if p.id not in self.rows]
        if unknown:
            raise TeacherError(
                f"{len(unknown)} problems were never recorded, such as {unknown[0]!r}: take "
                "problems from teacher.problems(), or a teacher that can answer new ones"
            )
        rows = [row for problem in problems for row in self.rows[problem.id][:k]]
        about = {"name": self.name, "file": self.path.name, "content": self.content}
        with Journal(journal, about, CANDIDATE) if journal else nullcontext() as book:
            known = {row["id"] for row in book or ()}
            for row in rows:
                if row["id"] in known:
                    continue
                if book:
                    book.add(row)
                if on_done:
                    on_done(row)
        return rows


@dataclass
class Local(Teacher):
    """A model on this machine, shown solved examples in the template and a trace form."""

    model: Any = None
    tokenizer: Any = None
    name: str = ""
    source: str = ""
    sha256: str = ""
    template: Template = THINK
    shots: Sequence[Problem] = field(default=SHOTS)
    max_new_tokens: int = 128
    width: int = 64
    form: str = "terse"
    asked: str = ""  # without `model`: what to load, a hub id, catalog name or folder
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self):
        self.name = self.name or self.asked

    def fetch(self, say=print):
        """Find or download the model's files without loading them: see `Teacher.fetch`."""
        from distillkit.models.loading import resolve

        if self.model is None:
            resolve(self.asked, say)

    def load(self) -> Local:
        """Load the model unless it is there, and return the teacher."""
        from distillkit.models.loading import load

        if self.model is None:
            found = load(self.asked, self.device, self.dtype)
            self.model, self.tokenizer, self.name = found.model, found.tokenizer, found.name
            self.source, self.sha256 = found.source, found.sha256
        return self

    def sample(self, problems, k=4, temperature=0.7, seed=0, journal=None, on_done=None):
        """Return `k` candidates a problem, sampled in wide batches: see `Teacher.sample`."""
        from distillkit.generation.sampler import sample

        must_be_temperature(temperature)
        self.load()
        about: TeacherRecord = {
            "name": self.name, "source": self.source, "sha256": self.sha256,
            "template": self.template.name, "form": self.form, "shots": len(self.shots),
            "seed": seed,
            "sampling": {"temperature": temperature, "max_new_tokens": self.max_new_tokens},
        }  # fmt: skip

        def make(missing: list[tuple[Problem, int]], report: OnCandidate) -> None:
            """A problem with any candidate missing is sampled whole; known ones are dropped."""
            todo = list({problem.id: problem for problem, _ in missing}.values())
            wanted = {(problem.id, number) for problem, number in missing}

            def on_completion(index: int, number: int, completion) -> None:
                if (todo[index].id, number) in wanted:
                    completion.text = opened(prompts[index]) + completion.text
                    report(candidate_row(todo[index], about, number, **completion.record()))

            prompts = [prompt_text(self.tokenizer, p.text, self.template, self.shots, self.form)
                       for p in todo]  # fmt: skip
            sample(self.model, self.tokenizer, prompts, k, temperature, stop=self.template.stop,
                   max_new_tokens=self.max_new_tokens, seed=seed, width=self.width,
                   on_done=on_completion)  # fmt: skip

        return journaled(problems, k, about, journal, on_done, make,
                         prompt_mark(self.tokenizer, self.template, self.shots, self.form),
                         fingerprint(self.model))  # fmt: skip
