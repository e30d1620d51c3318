"""Servers as they are: what they refuse, how they answer, how they fail; on the loopback."""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
import time
from collections import Counter

import pytest

from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_jsonl
from distillkit.traces.candidates import TeacherError
from distillkit.traces.filters import FINISHED, judge, reject
from distillkit.traces.server_answers import Unusable, finish_of, put_together, read_answer, said
from distillkit.traces.server_teacher import IN_A_ROW, Server
from distillkit.traces.templates import TEMPLATES, THINK
from tests.loopback import API, completion, failure, question, right

KEY = "sk-4f9b1c77d2e34a6f8c05"
PROBLEMS = make_problems(8, NARROW, "train", seed=0)
BOXED = TEMPLATES["boxed"]


@pytest.fixture(autouse=True)
def no_keys_and_no_proxies(monkeypatch):
    for name in ("DISTILLKIT_API_KEY", "OPENAI_API_KEY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    empty = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading certificates takes most of a test
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: empty)


@pytest.fixture
def api():
    api = API()
    yield api
    api.stop()


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "candidates.jsonl"


def served(api, **options):
    server = Server("qwen", api.url, **{"max_retries": 0, "timeout": 10.0} | options)
    server.told = []
    server.say = server.told.append
    return server


# --- what they refuse ------------------------------------------------------------------------


def openai(param, message, code="unsupported_parameter"):
    return 400, {}, {"error": {"message": message, "type": "invalid_request_error",
                               "param": param, "code": code}}  # fmt: skip


def fastapi(field):
    return 422, {}, {"detail": [{"type": "extra_forbidden", "loc": ["body", field], "input": 0,
                                 "msg": "Extra inputs are not permitted"}]}  # fmt: skip


TOKENS = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead."
)
WARM = (
    "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) "
    "value is supported."
)
REFUSES = {  # server -> (fields that it refuses, its answer, what it then gets instead)
    "OpenAI's newer models": (["max_tokens"], lambda f: openai(f, TOKENS),
                              {"max_completion_tokens"}),
    "OpenAI's newer models, temperature": (
        ["temperature"],
        lambda f: openai(f, WARM, "unsupported_value"),
        set(),
    ),
    "Mistral": (["seed"], fastapi, set()),
    "both": (["seed", "temperature"], fastapi, set()),
    "no limit at all": (["max_tokens", "max_completion_tokens"], fastapi, set()),
    "Gemini": (["seed"], lambda f: (400, {}, [{"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": f'Invalid JSON payload received. Unknown name "{f}": Cannot find field.'}}]),
        set()),
    "Groq": (["seed"], lambda f: (400, {}, {"error": {"message":
             f"property '{f}' is unsupported"}}), set()),
    "Azure": (["seed"], lambda f: (400, {}, {"error": {"message":
              f"Unrecognized request argument supplied: {f}"}}), set()),
    "a proxy with status 200": (["seed"], lambda f: (200, {}, {"error": {"code": 400, "message":
                                f"litellm.UnsupportedParamsError: does not support {f}"}}), set()),
    "a proxy with status 500": (["temperature"], lambda f: (500, {}, {"error": f"unknown: {f}"}),
                                set()),
    "only the parameter": (["seed"], lambda f: (400, {}, {"error": {"param": f}}), set()),
    "a list of what it takes": (["seed"], lambda f: (400, {}, {"message": f"unknown field {f}; "
                                "known are model, messages, temperature, max_tokens"}), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSES)
def test_a_refused_field_is_left_out_and_said_once(api, name):
    fields, answer, instead = REFUSES[name]

    def behave(request, count):
        found = [field for field in fields if field in request]
        return answer(found[0]) if found else None

    api.behave = behave
    server = served(api)
    rows = server.sample(PROBLEMS, k=2)
    assert len(reject(rows)[0]) == len(PROBLEMS)
    asked = set(api.requests[-1]) - {"path", "headers", "model", "messages"}
    assert asked == {"seed", "temperature", "max_tokens"} - set(fields) | instead
    assert len(server.told) == len(fields), server.told
    left = [field for field in fields if field not in ("max_tokens",) or not instead]
    left = [f for f in left if f != "max_tokens"]
    assert rows[-1]["teacher"].get("left_out", []) == left, "the candidate says so"


@pytest.mark.parametrize(("status", "reason"), [
    (400, "System role not supported"),
    (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
    (400, "Developer instruction is not enabled for models/gemma-3-4b-it"),
    (500, "Only user and assistant roles are supported!"),
])  # fmt: skip
def test_a_refused_system_message_goes_into_the_question(api, status, reason):
    def behave(request, count):
        if "system" in [message["role"] for message in request["messages"]]:
            return failure(status, reason)

    api.behave = behave
    server = served(api)
    assert len(reject(server.sample(PROBLEMS, k=1))[0]) == len(PROBLEMS)
    assert api.requests[-1]["messages"][0]["content"].startswith(THINK.instruction)
    assert len(server.told) == 1 and reason in server.told[0]


def test_a_server_without_earlier_answers_gets_one_question(api):
    def behave(request, count):
        if len(request["messages"]) > 1:
            return failure(400, "only one message with the role user is allowed")

    api.behave = behave
    server = served(api)
    rows = server.sample(PROBLEMS, k=1)
    assert len(reject(rows)[0]) == len(PROBLEMS)
    assert question(api.requests[-1]).count("<think>\n") == len(server.shots)


@pytest.mark.parametrize("reason", [
    "max_tokens is too large: 512. This model supports at most 256 completion tokens",
    "temperature: Input should be less than or equal to 1",
    "This model's maximum context length is 512 tokens, you asked for max_tokens=512",
])  # fmt: skip
def test_a_value_that_is_minded_is_for_a_person_to_mend(api, reason):
    api.behave = lambda request, count: failure(400, reason)
    server = served(api)
    with pytest.raises(TeacherError, match=r"refuses the request \(400\): ") as stopped:
        server.sample(PROBLEMS, k=1)
    assert reason in str(stopped.value) and server.told == []
    assert len(api.requests) <= len(PROBLEMS)


# --- how they answer -------------------------------------------------------------------------


def beside(field, value=lambda thoughts: thoughts):
    """Return an answer whose thinking stands in a field of its own."""

    def behave(request, count):
        thoughts, _, rest = right(request).removeprefix("<think>\n").partition("\n</think>\n")
        return completion(request, message={"role": "assistant", "content": rest,
                                            field: value(thoughts)})  # fmt: skip

    return behave


def in_parts(request, count):
    """Mistral's form: the content is a list of parts."""
    thoughts, _, rest = right(request).removeprefix("<think>\n").partition("\n</think>\n")
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": thoughts}]},
             {"type": "text", "text": rest}]  # fmt: skip
    return completion(request, message={"role": "assistant", "content": parts})


def said_as(change):
    return lambda request, count: completion(request, change(right(request)))


def all_thought(request, count):
    message = {"role": "assistant", "content": None, "reasoning_content": right(request)}
    return completion(request, message=message)


ANSWERS = {
    "DeepSeek, llama.cpp: reasoning_content": beside("reasoning_content"),
    "OpenRouter, Ollama, vLLM: reasoning": beside("reasoning"),
    "Ollama's own: thinking": beside("thinking"),
    "OpenRouter: reasoning_details": beside(
        "reasoning_details", lambda t: [{"type": "reasoning.text", "text": t, "index": 0}]),
    "LiteLLM: thinking_blocks": beside(
        "thinking_blocks", lambda t: [{"type": "thinking", "thinking": t, "signature": "x"}]),
    "with its tags": beside("reasoning_content", lambda t: f"<think>\n{t}\n</think>"),
    "Mistral: parts": in_parts,
    "parts of text only": lambda request, count: completion(
        request, message={"content": [{"type": "text", "text": right(request)}]}),
    "the chat template opened it": said_as(lambda text: text.replace("<think>\n", "", 1)),
    "all in the field of thinking": all_thought,
    "an empty field": lambda request, count: completion(
        request, message={"content": right(request), "reasoning_content": "", "reasoning": None}),
    "thoughts of its own and the form": lambda request, count: completion(
        request, message={"content": right(request), "reasoning": "Let me see. 3 = 4?"}),
    "white space before": lambda request, count: completion(request, "\n\n" + right(request)),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_thinking_is_put_where_the_template_has_it(api, name):
    api.behave = ANSWERS[name]
    rows = served(api).sample(PROBLEMS, k=1)
    assert [judge(row) for row in rows if any(judge(row).values())] == []


def test_thinking_that_is_no_part_of_the_form_is_kept_and_said(api):
    def behave(request, count):
        text = right(request, BOXED)
        if count % 2:
            return completion(request, f"<think>I guess 3 = 4</think>\n{text}")
        return completion(request, message={"content": text, "reasoning": "I guess 3 = 4"})

    api.behave = behave
    server = served(api, template=BOXED, parallel=1)
    rows = server.sample(PROBLEMS, k=1)
    assert len(reject(rows)[0]) == len(PROBLEMS)
    assert {row["thinking"] for row in rows} == {"I guess 3 = 4"}
    assert any("'thinking'" in line for line in server.told)


def test_a_thought_without_an_answer_is_rejected_and_the_way_out_is_said(api):
    message = {"content": "", "reasoning": "Let me think"}
    api.behave = lambda request, count: completion(request, message=message, finish_reason="length")
    server = served(api)
    rows = server.sample(PROBLEMS, k=1)
    assert reject(rows)[1].stopped["finished"] == len(PROBLEMS)
    assert rows[0]["text"].startswith("<think>\nLet me think")
    assert "ask with a larger max_new_tokens" in server.told[-1]


@pytest.mark.parametrize(("content", "thinking", "text", "left"), [
    ("</think><answer>1</answer>", "a", "<think>\na\n</think>\n<answer>1</answer>", ""),
    ("plain", "", "plain", ""),
    ("plain", "a", "<think>\na\n</think>\nplain", ""),
    ("", "a\n</think>\n<answer>1</answer>", "<think>\na\n</think>\n<answer>1</answer>", ""),
])  # fmt: skip
def test_thinking_and_answer_together(content, thinking, text, left):
    assert put_together(content, thinking, THINK) == (text, left)


WHOLE = ["stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence", "COMPLETE"]
CUT = ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens"]
OTHER = ["content_filter", "SAFETY", "error", "tool_calls", "abort", "insufficient_system_resource",
         "network_error", "", None, 7, "stop it"]  # fmt: skip


def test_finished_is_a_short_list():
    assert {finish_of(word) for word in WHOLE} == {"eos"}
    assert {finish_of(word) for word in CUT} == {"length"}
    assert {"eos", "stop", "length"}.isdisjoint(finish_of(word) for word in OTHER)


@pytest.mark.parametrize("word", [*WHOLE, *CUT, *OTHER])
def test_what_did_not_finish_is_not_kept(api, word):
    api.behave = lambda request, count: completion(request, right(request, BOXED),
                                                   finish_reason=word)  # fmt: skip
    (row,) = served(api, template=BOXED).sample(PROBLEMS[:1], k=1)
    reason = judge(row, (FINISHED,))["finished"]
    assert bool(reason) == (word not in WHOLE)
    assert word in (*WHOLE, *CUT) or row["finish"] in reason


# --- what they say when they fail ------------------------------------------------------------

ERRORS = {  # name -> (status, body, words that must be passed on)
    "OpenAI": (400, {"error": {"message": "context is 512 tokens", "code": None}}, "is 512 tokens"),
    "Ollama": (500, {"error": "model needs more memory"}, "more memory"),
    "vLLM": (400, {"object": "error", "message": "odd prompt", "code": 400}, "odd prompt"),
    "FastAPI": (422, {"detail": [{"loc": ["body", "n"], "msg": "not permitted"}]},
                "body.n: not permitted"),
    "FastAPI's text": (422, {"detail": "The model is not ready"}, "not ready"),
    "DeepSeek, no money": (402, {"error": {"message": "Insufficient Balance"}}, "Insufficient"),
    "Mistral": (400, {"object": "error", "message": {"detail": [{"msg": "bad top"}]}}, "bad top"),
    "TGI": (424, {"error": "Request failed during generation", "error_type": "x"}, "generation"),
    "Cloudflare": (400, {"success": False, "errors": [{"code": 7, "message": "No route"}]},
                   "No route"),
    "OpenRouter": (400, {"error": {"message": "Provider returned error", "code": 400, "metadata":
                   {"raw": '{"error": {"message": "prompt is too long"}}'}}}, "prompt is too long"),
    "problem+json": (400, {"title": "Bad Request", "detail": "wrong size"}, "wrong size"),
    "nginx": (502, b"<html><head><title>502</title></head><body><h1>502 Bad Gateway</h1></body>",
              "502 Bad Gateway"),
    "Envoy": (503, b"no healthy upstream", "no healthy upstream"),
    "nothing": (500, b"", "no reason given"),
    "status 200": (200, {"error": {"code": 502, "message": "is overloaded"}}, "overloaded"),
    "status 200, a text": (200, {"error": "Unexpected endpoint or method"}, "Unexpected endpoint"),
    "status 200, in the choice": (200, {"choices": [{"finish_reason": "error", "message":
        {"content": "x"}, "error": {"code": 502, "message": "provider went away"}}]}, "went away"),
    "status 200, not allowed": (200, {"error": {"code": 401, "message": "No auth"}}, "the key"),
    "forbidden": (403, {"error": {"message": "your country is not served"}}, "country"),
    "no model": (404, {"error": {"message": "try pulling it first"}}, "try pulling it first"),
    "a wrong path": (404, b"404 page not found", "end in /v1"),
    "no questions here": (405, {"detail": "Method Not Allowed"}, "end in /v1"),
    "a web page": (200, b"<!DOCTYPE html><html><title>Open WebUI</title>", "end in /v1"),
    "empty choices": (200, {"choices": []}, "unusable answer"),
    "a stream": (200, b'data: {"choices": [{"delta": {"content": "x"}}]}', "no JSON"),
    "quota": (429, {"error": {"message": "You exceeded your current quota"}}, "current quota"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_a_server_that_always_fails_is_explained_in_its_own_words(api, name, journal):
    status, body, words = ERRORS[name]
    api.behave = lambda request, count: (status, {}, body)
    with pytest.raises(TeacherError) as stopped:
        served(api).sample(PROBLEMS, k=1, journal=journal)
    message = str(stopped.value)
    assert message.startswith(f"the server at {api.url} ") and words in message
    assert "<h" not in message and ("{" not in message or name in ("a stream", "empty choices"))
    assert len(message) < 600
    assert read_jsonl(journal) == [], "nothing stands for an answer"


def test_a_long_or_hostile_reason_is_cut_and_harmless(api):
    api.behave = lambda request, count: failure(400, "\x1b[2J\u202e" + "long " * 10_000)
    with pytest.raises(TeacherError) as stopped:
        served(api).sample(PROBLEMS[:1], k=1)
    message = str(stopped.value)
    assert len(message) < 500 and "\x1b" not in message and "\u202e" not in message


@pytest.mark.parametrize("echo", [KEY, f"{KEY[:7]}***{KEY[-4:]}", f"Bearer {KEY}", f"a{KEY}b",
                                  f"{KEY[:6]}..."])  # fmt: skip
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_no_part_of_the_key_is_passed_on(api, monkeypatch, echo, status):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    api.behave = lambda request, count: failure(status, f"key {echo} is odd")
    with pytest.raises(TeacherError) as stopped:
        served(api).sample(PROBLEMS[:1], k=1)
    assert KEY[:6] not in str(stopped.value) and "is odd" in str(stopped.value)


@pytest.mark.parametrize("body", [
    "", "null", "[]", "7", '"x"', "{", "[" * 100_000, "<<<", "{}", '{"error": {"message": null}}',
    '{"error": [[], {}, 3]}', '{"choices": [{"message": "x"}]}', '{"choices": {"0": 1}}',
])  # fmt: skip
def test_no_body_raises_anything_else(body):
    assert isinstance(said(body), str)
    with pytest.raises(Unusable):
        read_answer(body, THINK)


# --- requests that never succeed -------------------------------------------------------------


def closed(request):
    """The connection is closed in the middle of an answer."""
    return 200, {"Content-Length": 999, "Connection": "close"}, b"{"


POISON = {
    "refused": lambda request: failure(400, "this question cannot be answered"),
    "too long": lambda request: failure(413, "too long"),
    "blocked": lambda request: failure(451, "blocked"),
    "its own trouble": lambda request: failure(500, "template error"),
    "no choices": lambda request: {"choices": []},
    "torn JSON": lambda request: b'{"choices": [',
    "a web page": lambda request: (200, {"Content-Type": "text/html"}, b"<html>busy</html>"),
    "an error with status 200": lambda request: {"error": {"code": 502, "message": "gone"}},
}


@pytest.mark.parametrize("name", POISON)
def test_a_run_is_complete_but_for_requests_that_never_succeed(api, name, journal):
    bad = {PROBLEMS[0].text, PROBLEMS[1].text, PROBLEMS[5].text}
    api.behave = lambda request, count: POISON[name](request) if question(request) in bad else None
    server = served(api)
    rows = server.sample(PROBLEMS, k=2, journal=journal)
    failed = [row for row in rows if row["finish"] == "error"]
    assert {row["problem"]["text"] for row in failed} == bad and len(failed) == 6
    assert all(row["text"] == "" and api.url in row["error"] for row in failed)
    funnel = reject(rows)[1]
    assert (funnel.total, funnel.stopped["finished"], funnel.problems_kept) == (16, 6, 5)
    assert f"6 of 16 requests got no answer, the first because the server at {api.url}" in (
        server.told[-1])  # fmt: skip
    assert read_jsonl(journal)[-1]["id"] and len(read_jsonl(journal)) == 16
    asked = len(api.requests)
    again = served(api)
    assert again.sample(PROBLEMS, k=2, journal=journal) == rows
    assert len(api.requests) == asked and "6 of 16" in again.told[-1]


def test_a_connection_that_breaks_off_for_one_question_does_not_end_the_run(api):
    bad = PROBLEMS[3].text
    api.behave = lambda request, count: closed(request) if question(request) == bad else None
    api.http.RequestHandlerClass.protocol_version = "HTTP/1.0"  # closes after the answer
    rows = served(api).sample(PROBLEMS, k=1)
    assert Counter(row["finish"] for row in rows) == {"eos": 7, "error": 1}


def test_a_question_that_never_gets_ready_does_not_end_the_run(api, journal):
    hold, bad = threading.Event(), PROBLEMS[7].text

    def behave(request, count):
        if question(request) == bad:
            hold.wait(5)

    api.behave = behave
    rows = served(api, timeout=0.5).sample(PROBLEMS, k=1, journal=journal)
    hold.set()
    assert Counter(row["finish"] for row in rows) == {"eos": 7, "error": 1}
    assert "did not answer in time" in rows[7]["error"]


def test_one_left_over_that_fails_again_still_completes_the_run(api, journal):
    """Stopped before the failing request was given up; then it is the only one that is asked."""
    bad = PROBLEMS[7].text
    served(api).sample(PROBLEMS[:7], k=1, journal=journal)
    api.behave = lambda request, count: failure(500, "no") if question(request) == bad else None
    rows = served(api).sample(PROBLEMS, k=1, journal=journal)
    assert Counter(row["finish"] for row in rows) == {"eos": 7, "error": 1}


def test_the_failed_ones_are_asked_again_when_their_lines_are_removed(api, journal):
    bad = PROBLEMS[2].text
    api.behave = lambda request, count: failure(500, "no") if question(request) == bad else None
    served(api).sample(PROBLEMS, k=1, journal=journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"finish": "error"' not in line))
    api.behave, asked = (lambda request, count: None), len(api.requests)
    assert len(reject(served(api).sample(PROBLEMS, k=1, journal=journal))[0]) == 8
    assert len(api.requests) == asked + 1


def test_a_server_that_breaks_in_mid_run_is_not_asked_to_the_end(api, journal):
    problems = make_problems(100)
    api.behave = lambda request, count: None if count < 60 else failure(500, "out of memory")
    with pytest.raises(TeacherError, match="out of memory"):
        served(api).sample(problems, k=1, journal=journal)
    assert IN_A_ROW <= len(api.requests) - 60 < IN_A_ROW + 10
    rows = read_jsonl(journal)
    assert len(rows) == 60 and {row["finish"] for row in rows} == {"eos"}
    api.behave = lambda request, count: None
    assert len(reject(served(api).sample(problems, k=1, journal=journal))[0]) == 100


def test_many_refusals_one_after_the_other_do_not_end_a_run_that_gets_answers(api):
    problems = make_problems(60)
    bad = {problem.text for problem in problems[5:50]}
    api.behave = lambda request, count: failure(400, "no") if question(request) in bad else None
    rows = served(api, parallel=1).sample(problems, k=1)
    assert Counter(row["finish"] for row in rows) == {"eos": 15, "error": 45}


def test_an_error_in_the_body_is_tried_again_as_one_in_the_status(api, monkeypatch):
    monkeypatch.setattr("distillkit.traces.server_teacher.time.sleep", lambda seconds: None)
    body = {"error": {"code": 429, "message": "slow down"}}
    api.behave = lambda request, count: body if count < 2 else None
    assert len(reject(served(api, max_retries=2).sample(PROBLEMS[:1], k=1))[0]) == 1
    assert len(api.requests) == 3


def test_the_command_counts_what_got_no_answer_and_no_wrong_answers_for_it(
    api, tmp_path, capsys, monkeypatch
):
    from distillkit.cli import main
    from distillkit.traces import server_teacher

    seen = []

    def behave(request, count):
        seen.append(question(request))
        return failure(400, "no") if question(request) == seen[0] else None

    api.behave = behave
    out = tmp_path / "o.jsonl"
    monkeypatch.setattr(server_teacher, "SHOTS", ())
    name = f"openai:qwen@{api.url}"
    assert main(["teach", name, "--problems", "4", "--k", "2", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "2 of 8 requests got no answer" in shown and "pass@1: 100 %" in shown
    assert [json.loads(line)["finish"] for line in out.read_text().splitlines()[1:]].count(
        "error") == 2  # fmt: skip


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), -0.1])
def test_a_temperature_that_is_none_is_refused_before_anything_is_asked(api, journal, temperature):
    with pytest.raises(ValueError, match="temperature must be 0 or more and finite"):
        served(api).sample(PROBLEMS, k=1, temperature=temperature, journal=journal)
    assert api.requests == [] and not journal.exists()


# --- Ctrl-C, and what is no key or address ----------------------------------------------------


@pytest.fixture
def hung(api):
    """Three questions are answered, the others never; it says which are under way."""
    hold, bad = threading.Event(), {problem.text for problem in PROBLEMS[3:]}
    api.hung = []

    def behave(request, count):
        if question(request) in bad:
            api.hung.append(question(request))
            hold.wait(30)

    api.behave = behave
    yield api
    hold.set()


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_waits_for_no_request_and_holds_up_no_end(hung, journal):
    def interrupt():
        while len(hung.hung) < 5:
            time.sleep(0.01)
        time.sleep(0.3)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    server, before = served(hung, parallel=5, max_retries=5, timeout=60.0), {*threading.enumerate()}
    threading.Thread(target=interrupt, daemon=True).start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        server.sample(PROBLEMS, k=1, journal=journal)
    assert time.perf_counter() - began < 10
    assert len(read_jsonl(journal)) == 3
    assert [thread for thread in {*threading.enumerate()} - before if not thread.daemon] == []
    asked, hung.behave = len(hung.requests), lambda request, count: None
    assert len(reject(server.sample(PROBLEMS, k=1, journal=journal))[0]) == 8, "it can go on"
    assert len(hung.requests) == asked + 5


def test_what_is_answered_at_a_ctrl_c_is_kept(hung, journal):
    def stop(row):
        while len(hung.hung) < 5:  # then the three have their answers, and one is being reported
            time.sleep(0.01)
        time.sleep(0.2)
        if len(read_jsonl(journal)) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        served(hung, parallel=8).sample(PROBLEMS, k=1, journal=journal, on_done=stop)
    assert {row["problem"]["id"] for row in read_jsonl(journal)} == {p.id for p in PROBLEMS[:3]}


@pytest.mark.parametrize("key", ["sk-4f9b\nc77d2e34", "sk-4f9b c77d", "sk-4f9b’c77d", "sk\x7f4f9b"])
def test_a_damaged_key_is_refused_before_anything_is_asked(api, monkeypatch, key):
    for name, url in (
        ("DISTILLKIT_API_KEY", api.url),
        ("OPENAI_API_KEY", "https://api.openai.com"),
    ):
        monkeypatch.setenv(name, key)
        with pytest.raises(TeacherError, match=f"the key in {name} is damaged") as refused:
            Server("qwen", url)
        assert "4f9b" not in str(refused.value) and api.requests == []
        monkeypatch.delenv(name)


@pytest.mark.parametrize("end", ["?api_key=hunter2", "?hunter2", "#hunter2", "/?a=1#hunter2"])
def test_an_address_with_a_query_is_refused_and_not_printed(end):
    for start in ("http://localhost:1/v1", "localhost/v1"):
        with pytest.raises(ValueError, match=r"behind . or #.*DISTILLKIT_API_KEY") as refused:
            Server("qwen", start + end)
        assert "hunter2" not in str(refused.value)
