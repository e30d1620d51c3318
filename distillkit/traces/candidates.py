"""What a teacher is and gives: candidates, one line of JSONL each, journaled so that a killed run
goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

from distillkit.problems.equations import Problem, ProblemRecord, must_differ
from distillkit.runtime.files import Journal, odd_field


class Sampling(TypedDict):
    """How a model's candidates were drawn."""

    temperature: float
    max_new_tokens: int


class TeacherRecord(TypedDict):
    """Who wrote a candidate, and all that its text depends on."""

    name: str
    source: str
    template: str
    sha256: NotRequired[str]  # this and the rest: of models
    form: NotRequired[str]
    shots: NotRequired[int]
    seed: NotRequired[int]
    sampling: NotRequired[Sampling]
    left_out: NotRequired[list[str]]  # what a server did not take of the request


ENDED = ("eos", "stop")  # the answer is whole


class Candidate(TypedDict):
    """One solution by a teacher.

    `finish` is "eos" or "stop" of a whole one, "length" of one that was cut off, "error" if the
    request got no answer, or a server's own word for another end, such as "content_filter".
    """

    id: str
    problem: ProblemRecord
    teacher: TeacherRecord
    candidate: int  # 0, 1, … of the same problem
    text: str
    finish: str
    tokens: int
    seconds: float
    thinking: NotRequired[str]  # that a server gave beside the text
    error: NotRequired[str]  # why there is no answer


OnCandidate = Callable[[Candidate], None]
# What the rules and traces need of a candidate, whoever made it: see `files.odd_field`.
CANDIDATE = {
    "id": str, "text": str, "finish": str, "teacher": {"name": str},
    "problem": {"id": str, "text": str, "equation": str, "answer": str, "family": str},
}  # fmt: skip


def candidate_fault(row: dict[str, Any]) -> str:
    """Say why the rules cannot judge a row of somebody's file, "" if they can."""
    fault = odd_field(row, CANDIDATE)
    if not fault and "template" in row["teacher"]:
        fault = odd_field(row, {"teacher": {"template": str}})
    return fault


class TeacherError(RuntimeError):
    """A teacher cannot give candidates; the message says why and what to do."""


class Teacher(Protocol):
    """What every teacher can do; the class of a teacher has this one as its base.

    `spare` says how many problems it should get for each verified trace that is wanted.
    """

    name: str
    spare: float = 1.4  # some candidates will be rejected
    say: Callable[[str], None] = print  # what a person should know of the answers

    def sample(
        self,
        problems: Sequence[Problem],
        k: int = 4,
        temperature: float = 0.7,
        seed: int = 0,
        journal: str | Path | None = None,
        on_done: OnCandidate | None = None,
    ) -> list[Candidate]:
        """Return `tries(k)` candidates a problem, in the order of the problems.

        With `journal`, each candidate is on disk as soon as it exists and those already there
        are not made again.  Raises TeacherError.
        """
        ...

    def tries(self, k: int) -> int:
        """Return how many candidates a problem it writes when it is asked for `k`."""
        return k

    def problems(self, families: Iterable[str] | None = None) -> list[Problem] | None:
        """Return the problems of these families that it can answer; None: it answers any."""
        return None

    def fetch(self, say: Callable[[str], None] = print) -> None:
        """Put what it needs on this machine; `sample` does so, too."""


def must_be_temperature(temperature: float) -> None:
    """Raise ValueError for a temperature that no text can be drawn at: 0 is greedy."""
    if not 0 <= temperature < float("inf"):  # NaN is not
        raise ValueError(f"temperature must be 0 or more and finite, not {temperature}")


def candidate_id(problem: Problem, number: int) -> str:
    """Return the id of a problem's candidate: `two-step-0123456789/3`."""
    return f"{problem.id}/{number}"


def candidate_ids(problems: Sequence[Problem], k: int) -> list[str]:
    """Return the ids of `k` candidates a problem."""
    return [candidate_id(problem, number) for problem in problems for number in range(k)]


def candidate_row(problem: Problem, about: TeacherRecord, number: int, **result: Any) -> Candidate:
    """Build one journal line: id, problem, teacher, candidate number and the result's fields."""
    return {
        "id": candidate_id(problem, number),
        "problem": problem.record(),
        "teacher": about,
        "candidate": number,
        **result,
    }


def journaled(
    problems: Sequence[Problem],
    k: int,
    about: TeacherRecord,
    journal: str | Path | None,
    on_done: OnCandidate | None,
    make: Callable[[list[tuple[Problem, int]], OnCandidate], None],
    prompt: str,
    model: str = "",
) -> list[Candidate]:
    """Let `make` produce what the journal does not hold yet; return all in order.

    `prompt` and `model` are marks of what a candidate depends on beside `about`.  Raises
    JournalError for a journal that depends on something else, TeacherError for one of other
    questions, ValueError for two problems of one id.
    """
    must_differ(problems)
    wanted = [(problem, number) for problem in problems for number in range(k)]
    done: dict[str, Candidate] = {}
    depends = {**about, "prompt": prompt, "model": model}
    book = Journal(journal, depends, CANDIDATE) if journal else None
    asked = {problem.id: problem.record() for problem in problems}

    def report(row: Candidate) -> None:
        if book:
            book.add(row)
        done[row["id"]] = row
        if on_done:
            on_done(row)

    with book or nullcontext():
        for row in book or ():
            if row["problem"] != asked.get(row["problem"]["id"], row["problem"]):
                raise TeacherError(
                    f"{journal} holds a candidate for another wording of {row['problem']['id']}: "
                    "give a new file"
                )
            done[row["id"]] = row
        missing = [pair for pair in wanted if candidate_id(*pair) not in done]
        if missing:
            make(missing, report)
    return [done[candidate_id(*pair)] for pair in wanted]
