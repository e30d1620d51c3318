"""A teacher behind an OpenAI-compatible server: DeepSeek, Ollama, vLLM, llama.cpp and others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from urllib.parse import urlsplit

from distillkit.problems.equations import Problem
from distillkit.traces.candidates import (
    Candidate,
    OnCandidate,
    Teacher,
    TeacherError,
    TeacherRecord,
    candidate_row,
    journaled,
)
from distillkit.traces.templates import SHOTS, THINK, Template, messages, prompt_mark

KEY, OPENAI_KEY = "DISTILLKIT_API_KEY", "OPENAI_API_KEY"
# What reading an answer raises that is no chat completion, or JSON nested without end.
UNUSABLE = (AttributeError, IndexError, TypeError, ValueError, RecursionError)


def ask_at_once(
    ask: Callable[[Problem, int], Candidate],
    missing: Sequence[tuple[Problem, int]],
    parallel: int,
    report: OnCandidate,
) -> None:
    """Report `ask(problem, number)` for each pair, `parallel` of them at a time.

    After a TeacherError those that wait are not asked any more; what is under way is still
    reported, then the first error is raised.
    """
    stop, failures = threading.Event(), []

    def unless_stopped(problem: Problem, number: int) -> Candidate | None:
        if stop.is_set():
            return None
        try:
            return ask(problem, number)
        except TeacherError:
            stop.set()
            raise

    with ThreadPoolExecutor(parallel) as pool:
        jobs = [pool.submit(unless_stopped, problem, number) for problem, number in missing]
        try:
            for job in as_completed(jobs):
                try:
                    row = job.result()
                except TeacherError as error:
                    failures.append(error)
                    continue
                if row:
                    report(row)
        except BaseException:
            stop.set()
            raise
    if failures:
        raise failures[0]


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
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"{base_url!r} is not an address such as http://localhost:11434/v1")
        key = os.environ.get(KEY, "").strip()
        if not key and address.hostname == "api.openai.com":  # nobody else may see that key
            key = os.environ.get(OPENAI_KEY, "").strip()
        here = address.hostname in ("localhost", "127.0.0.1", "::1")
        if key and address.scheme == "http" and not here:
            raise TeacherError(
                f"the API key would travel unencrypted to {address.hostname}: use https, or unset "
                f"{KEY} if this server needs no key"
            )
        self.name, self.base_url, self.template, self.shots = model, base_url, template, shots
        self.max_new_tokens, self.parallel = max_new_tokens, parallel
        self._key = key
        self._client = openai.OpenAI(
            base_url=base_url, api_key=key or "none", max_retries=max_retries, timeout=timeout
        )

    def sample(self, problems, k=4, temperature=0.7, seed=0, journal=None, on_done=None):
        """Return `k` candidates a problem, a few requests at a time: see `Teacher.sample`.

        Rate limits (429) and server errors are retried with growing pauses by the client.
        """
        about: TeacherRecord = {
            "name": self.name, "source": self.base_url, "sha256": "",
            "template": self.template.name, "shots": len(self.shots), "seed": seed,
            "sampling": {"temperature": temperature, "max_new_tokens": self.max_new_tokens},
        }  # fmt: skip

        def ask(problem: Problem, number: int) -> Candidate:
            began = time.perf_counter()
            text, finish, tokens = self._ask(problem, temperature, 1000 * seed + number)
            seconds = time.perf_counter() - began
            return candidate_row(problem, about, number, text=text, finish=finish,
                                 tokens=tokens, seconds=seconds)  # fmt: skip

        def make(missing: list[tuple[Problem, int]], report: OnCandidate) -> None:
            ask_at_once(ask, missing, self.parallel, report)

        return journaled(problems, k, about, journal, on_done, make,
                         prompt_mark(None, self.template, self.shots))  # fmt: skip

    def _ask(self, problem: Problem, temperature: float, seed: int) -> tuple[str, str, int]:
        import openai

        try:
            answer = self._client.chat.completions.create(
                model=self.name,
                messages=messages(problem.text, self.template, self.shots),
                temperature=temperature,
                max_tokens=self.max_new_tokens,
                seed=seed,
            )
            choice = answer.choices[0]
            text, finish = choice.message.content or "", choice.finish_reason or "stop"
            text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
            tokens = answer.usage.completion_tokens or 0 if answer.usage else 0
        except (openai.OpenAIError, *UNUSABLE) as error:
            raise TeacherError(self._explain(error)) from None
        return text, {"stop": "eos"}.get(finish, finish), tokens

    def _explain(self, error: Exception) -> str:
        import openai

        where = f"the server at {self.base_url} "
        if isinstance(error, openai.APITimeoutError):
            reason = "did not answer in time. Is the model loaded? Ask again: the journal goes on"
        elif isinstance(error, openai.APIConnectionError):
            reason = "cannot be reached. Is it running, is the address right?"
        elif isinstance(error, openai.AuthenticationError):
            reason = f"refused the key. Set {KEY} in the environment"
        elif isinstance(error, openai.NotFoundError):
            reason = f"does not know the model {self.name!r} or the path. Check both"
        elif isinstance(error, openai.RateLimitError):
            reason = "limits the rate or the quota is used up. Wait, then run the same command"
        else:
            detail = str(error).replace(self._key or "\0", "[key]")[:300]
            reason = f"gave an unusable answer: {type(error).__name__}: {detail}"
        return where + reason
