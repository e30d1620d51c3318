"""A teacher behind an OpenAI-compatible server: DeepSeek, Ollama, vLLM, llama.cpp and others.

What they refuse of a request is left out of it, said once and kept in the candidates; how they
answer, `server_answers` reads.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote, urlsplit

from distillkit.models.chats import Message, all_in_one, as_it_is, without_system
from distillkit.problems.equations import Problem
from distillkit.traces.candidates import (
    Candidate,
    OnCandidate,
    Teacher,
    TeacherError,
    TeacherRecord,
    candidate_row,
    journaled,
    must_be_temperature,
)
from distillkit.traces.server_answers import MAX_SAID, Unusable, read_answer, said
from distillkit.traces.templates import SHOTS, THINK, Template, messages, prompt_mark

KEY, OPENAI_KEY = "DISTILLKIT_API_KEY", "OPENAI_API_KEY"
IN_A_ROW = 20  # so many failed requests, one after the other: it is the server, not the question
PAUSES = (0.5, 1, 2, 4, 8)  # seconds before an error in a body with status 200 is asked again
# A server names a field and minds its value, not the field: that is for a person to mend
VALUE = re.compile(r"(?i)less than|greater than|between|at (most|least)|too (large|long|high|big|"
                   r"small|low)|exceed|maximum|minimum|range|context")  # fmt: skip
ROLE = re.compile(r"(?i)\broles?\b|\bsystem (message|prompt|instruction)|developer instruction")


class RequestFailed(Exception):
    """One request got no answer of use; with `refused`, because the server minds that request."""

    def __init__(self, reason: str, refused: bool = False):
        super().__init__(reason)
        self.refused = refused


Failure = tuple[Problem, int, RequestFailed]


def ask_at_once(
    ask: Callable[[Problem, int], Candidate],
    missing: Sequence[tuple[Problem, int]],
    parallel: int,
    report: OnCandidate,
    wanted: int,
) -> list[Failure]:
    """Report `ask(problem, number)` for each pair, `parallel` of them at a time.

    Returns the requests that failed.  If IN_A_ROW or more than half of all `wanted` ones do
    (before the first answer: all), raises TeacherError with the last reason: then it is the server
    that fails.  A refusal does not count once another question was answered.  After a TeacherError
    those that wait are not asked any more; what is under way is still reported.  After a Ctrl-C
    nobody waits for that: what is answered by then is reported.
    """
    stop, failures, errors = threading.Event(), [], []
    answered, in_a_row = len(missing) < wanted, 0
    waiting, done = deque(missing), SimpleQueue()

    def work() -> None:
        while waiting and not stop.is_set():
            with suppress(IndexError):  # another one took the last
                pair = waiting.popleft()
                try:
                    done.put((pair, ask(*pair), None))
                except BaseException as error:
                    if not isinstance(error, RequestFailed):
                        stop.set()
                    done.put((pair, None, error))
        done.put(None)

    at_work = min(parallel, len(missing))
    for _ in range(at_work):
        threading.Thread(target=work, daemon=True).start()  # none of them holds up the end
    try:
        while at_work:
            if (job := done.get()) is None:
                at_work -= 1
                continue
            pair, row, error = job
            if row:
                answered, in_a_row = True, 0
                report(row)
            elif isinstance(error, RequestFailed):
                failures.append((*pair, error))
                in_a_row += not (error.refused and answered)
                counted = [f for *_, f in failures if not (f.refused and answered)]
                most = wanted // 2 if answered else wanted - 1
                if in_a_row >= IN_A_ROW or len(counted) > most:
                    errors.append(TeacherError(
                        f"{error} ({len(failures)} of {wanted} requests failed)"))  # fmt: skip
                    stop.set()
            elif isinstance(error, TeacherError):
                errors.append(error)
            else:
                raise error
    except BaseException as error:
        stop.set()
        while isinstance(error, KeyboardInterrupt) and not done.empty():
            if (job := done.get()) and job[1]:
                report(job[1])
        raise
    if errors:
        raise errors[0]
    return failures


@dataclass(frozen=True)
class Wording:
    """How requests are put to a server that refuses some of their fields or roles."""

    limit: str = "max_tokens"  # the name of the field with the largest number of tokens
    left_out: tuple[str, ...] = ()
    form: Callable[[Sequence[Message]], list[Message]] = as_it_is

    def request(self, chat: Sequence[Message], limit: int, **fields: Any) -> dict[str, Any]:
        """Return the fields of a request."""
        named = {**fields, self.limit: limit}
        kept = {name: value for name, value in named.items() if name not in self.left_out}
        return {"messages": self.form(chat), **kept}

    def after(self, words: str) -> tuple[Wording, str] | None:
        """Return another wording after a refusal, and what changes; None if words name nothing."""
        names = [name for name in (self.limit, "seed", "temperature") if name not in self.left_out]
        found = {name: re.search(rf"(?i)\b{name.replace('_', '[_ ]?')}\b", words) for name in names}
        places = {name: match.start() for name, match in found.items() if match}
        if places and not VALUE.search(words):
            name = min(places, key=places.__getitem__)  # it may go on with those that it takes
            if name == "max_tokens":
                changed = "max_completion_tokens"
                return replace(self, limit=changed), f"max_tokens is called {changed}"
            return replace(self, left_out=(*self.left_out, name)), f"{name} is left out"
        if ROLE.search(words) and self.form is as_it_is:
            return replace(self, form=without_system), "the instruction goes into the question"
        if ROLE.search(words) and self.form is without_system:
            return replace(self, form=all_in_one), "the examples go into the question"
        return None


class Server(Teacher):
    """A model asked over HTTP, a few requests at a time; the key comes from the environment."""

    def __init__(
        self,
        model: str,
        base_url: str,
        template: Template = THINK,
        shots: Sequence[Problem] = SHOTS,
        max_new_tokens: int = 512,
        parallel: int = 4,
        max_retries: int = 5,
        timeout: float = 120.0,
    ):
        import openai

        address = urlsplit(base_url)
        _ = address.port  # raises ValueError for what is no port
        if address.username or address.password:
            raise ValueError(f"an address holds no password: set {KEY} instead")
        if address.query or address.fragment:
            raise ValueError(
                "an address holds nothing behind ? or #, which would be printed and saved: leave "
                f"it out. A key belongs in {KEY}"
            )
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"{base_url!r} is not an address such as http://localhost:11434/v1")
        variable, key = KEY, os.environ.get(KEY, "").strip()
        if not key and address.hostname == "api.openai.com":  # nobody else may see that key
            variable, key = OPENAI_KEY, os.environ.get(OPENAI_KEY, "").strip()
        if not re.fullmatch("[!-~]*", key):  # printable ASCII, which a header may hold
            raise TeacherError(
                f"the key in {variable} is damaged: it has a space, a line break or a sign that no "
                "key has inside. Copy it again, whole and on one line"
            )
        here = address.hostname in ("localhost", "127.0.0.1", "::1")
        if key and address.scheme == "http" and not here:
            raise TeacherError(
                f"the API key would travel unencrypted to {address.hostname}: use https, or unset "
                f"{variable} if this server needs no key"
            )
        self.name, self.base_url, self.template, self.shots = model, base_url, template, shots
        self.max_new_tokens, self.parallel, self.max_retries = max_new_tokens, parallel, max_retries
        self._key = key
        self._connect = partial(
            openai.OpenAI,
            base_url=base_url,
            api_key=key or "none",
            max_retries=max_retries,
            timeout=timeout,
        )
        self._client = self._connect()
        self._lock, self._wording, self._answered = threading.Lock(), Wording(), False

    def sample(self, problems, k=4, temperature=0.7, seed=0, journal=None, on_done=None):
        """Return `k` candidates a problem, a few requests at a time: see `Teacher.sample`.

        Rate limits (429) and server errors are retried with growing pauses by the client.  A
        request that gets no answer while others do becomes a candidate without text, whose
        `finish` is "error": the run is complete but for these, and their number is said.
        """
        must_be_temperature(temperature)
        about: TeacherRecord = {
            "name": self.name, "source": self.base_url, "sha256": "",
            "template": self.template.name, "shots": len(self.shots), "seed": seed,
            "sampling": {"temperature": temperature, "max_new_tokens": self.max_new_tokens},
        }  # fmt: skip

        def ask(problem: Problem, number: int) -> Candidate:
            began = time.perf_counter()
            result = self._ask(problem, temperature, 1000 * seed + number)
            left_out = result.pop("left_out")
            whose = {**about, "left_out": left_out} if left_out else about
            return candidate_row(problem, whose, number, **result,
                                 seconds=time.perf_counter() - began)  # fmt: skip

        def make(missing: list[tuple[Problem, int]], report: OnCandidate) -> None:
            wanted = len(problems) * k
            self._answered = self._answered or len(missing) < wanted
            try:
                failed = ask_at_once(ask, missing, self.parallel, report, wanted)
            except KeyboardInterrupt:
                self._client.close()  # or what is under way is asked again, and paid for
                self._client = self._connect()
                raise
            for problem, number, error in failed:
                report(candidate_row(problem, about, number, text="", finish="error",
                                     tokens=0, seconds=0.0, error=str(error)))  # fmt: skip

        rows = journaled(problems, k, about, journal, on_done, make,
                         prompt_mark(None, self.template, self.shots))  # fmt: skip
        self._say_what_is_missing(rows, journal)
        return rows

    def _say_what_is_missing(self, rows: Sequence[Candidate], journal: object) -> None:
        failed = [row for row in rows if row["finish"] == "error"]
        if failed:
            again = f"; remove their lines from {journal} to ask again" if journal else ""
            self.say(f"{len(failed)} of {len(rows)} requests got no answer, the first because "
                     f"{failed[0].get('error', 'it failed')}{again}")  # fmt: skip
        cut = sum(row["finish"] == "length" for row in rows)
        if 2 * cut > len(rows):
            self.say(f"{cut} of {len(rows)} answers were cut off at {self.max_new_tokens} tokens: "
                     "ask with a larger max_new_tokens")  # fmt: skip
        if any(row.get("thinking") for row in rows):
            self.say("thinking that came beside the answers is kept in the field 'thinking'")

    def _ask(self, problem: Problem, temperature: float, seed: int) -> dict[str, Any]:
        """Return the fields of an answer.  Raises RequestFailed, TeacherError."""
        chat = messages(problem.text, self.template, self.shots)
        pauses = list(PAUSES[: self.max_retries])
        while True:
            wording = self._wording
            request = wording.request(chat, self.max_new_tokens, temperature=temperature, seed=seed)
            try:
                answer = read_answer(self._send(request), self.template)
            except Unusable as error:
                if error.status in (408, 429) or error.status >= 500:
                    if pauses:
                        time.sleep(pauses.pop(0))
                        continue
                elif self._reworded(wording, str(error)):
                    continue
                raise self._failure(error.status, str(error)) from None
            except _Refused as error:
                if error.status not in (401, 402, 404, 429) and self._reworded(
                    wording, error.words
                ):
                    continue
                raise self._failure(error.status, error.words) from None
            self._answered = True
            beside = {"thinking": answer.thinking} if answer.thinking else {}
            return {"text": answer.text, "finish": answer.finish, "tokens": answer.tokens,
                    "left_out": list(wording.left_out), **beside}  # fmt: skip

    def _send(self, request: dict[str, Any]) -> str:
        """Send a request and return the body of the answer.

        Raises _Refused for an answer with an error's status, RequestFailed, TeacherError.
        """
        import openai

        ask = self._client.chat.completions.with_raw_response.create
        try:
            return ask(model=self.name, **request).http_response.text
        except openai.APIStatusError as error:
            raise _Refused(error.status_code, said(error.response.text)) from None
        except openai.APITimeoutError:
            late = "did not answer in time. Is the model loaded? Ask again: the journal goes on"
            if not self._answered:  # and each further one would take as long
                raise TeacherError(self._where + late) from None
            raise RequestFailed(self._where + late) from None
        except openai.APIConnectionError as error:
            if type(error.__cause__).__name__ in ("ConnectError", "ProxyError"):
                raise TeacherError(
                    f"{self._where}cannot be reached. Is it running, is the address right?"
                ) from None
            raise RequestFailed(
                f"{self._where}cannot be reached any more: it broke off in an answer. See its log"
            ) from None
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            words = self._shown(f"{type(error).__name__}: {error}")
            raise RequestFailed(f"{self._where}gave an unusable answer: {words}") from None

    @property
    def _where(self) -> str:
        return f"the server at {self.base_url} "

    def _reworded(self, before: Wording, words: str) -> bool:
        """Change how requests are put, unless another thread has done so since `before`."""
        with self._lock:
            if self._wording is not before:
                return True
            change = before.after(words)
            if change is None:
                return False
            self._wording = change[0]
        self.say(f"{self._where}says: {self._shown(words)}. From now on {change[1]}")
        return True

    def _failure(self, status: int, words: str) -> TeacherError | RequestFailed:
        """Return what a status means: for all requests a TeacherError, else a RequestFailed."""
        words = self._shown(words) or "no reason given"
        everywhere = {
            401: f"refused the key. Set {KEY} in the environment: {words}",
            402: f"wants to be paid: {words}",
            403: f"does not allow this: {words}",
            404: f"does not know the model {self.name!r} or the path. Check both, most addresses "
            f"end in /v1: {words}",
            405: f"takes no questions at this path, most addresses end in /v1: {words}",
            429: "limits the rate or the quota is used up. Wait, then run the same command: "
            f"{words}",
        }
        if status in everywhere:
            return TeacherError(self._where + everywhere[status])
        if status >= 500 or status == 408:
            reason = f"has trouble of its own ({status}): {words}. See its log, or try later"
        elif status:
            reason = f"refuses the request ({status}): {words}"
        else:
            reason = f"gave an unusable answer: {words}"
        return RequestFailed(self._where + reason, 400 <= status < 500 and status != 408)

    def _shown(self, words: str) -> str:
        """Return a server's words without the key, or a part of it, and not too many."""
        if self._key:
            for secret in (self._key, quote(self._key, safe="")):
                words = words.replace(secret, "[key]")
            if len(self._key) >= 16:  # OpenAI shows both ends of it
                ends = re.escape(self._key[:5]), re.escape(self._key[-5:])
                words = re.sub(rf"{ends[0]}\S*|\S*{ends[1]}", "[key]", words)
        words = re.sub(r"(?i)\b(bearer\s+|sk-)[\w.*-]{8,}", "[key]", words)
        return words[:MAX_SAID]


class _Refused(Exception):
    """An answer with an error's status, and the server's words."""

    def __init__(self, status: int, words: str):
        super().__init__(words)
        self.status, self.words = status, words
