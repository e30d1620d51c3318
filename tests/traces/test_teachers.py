"""Teachers: solver, recording, local model and a real HTTP server; every candidate is journaled."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from distillkit.problems.equations import (
    NARROW,
    OUT_OF_DISTRIBUTION,
    Problem,
    make_problem,
    make_problems,
    overlap,
)
from distillkit.problems.trace_forms import FORMS
from distillkit.runtime.files import JournalError, read_jsonl, write_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.candidates import TeacherError, candidate_row
from distillkit.traces.filters import judge, reject
from distillkit.traces.server_teacher import Server
from distillkit.traces.teachers import RECORDED, Local, Recorded, Solver, teacher
from distillkit.traces.templates import SHOTS, TEMPLATES, THINK, messages, render_solution
from tests.loopback import API, completion, failure, question

KEY = "sk-4f9b1c77d2e34a6f8c05"
PROBLEMS = make_problems(4, NARROW, "train", seed=0)
FIELDS = {"id", "problem", "teacher", "candidate", "text", "finish", "tokens", "seconds"}


@pytest.fixture(autouse=True)
def no_keys_and_no_proxies(monkeypatch):
    names = ("DISTILLKIT_API_KEY", "OPENAI_API_KEY")
    names += tuple(f"{kind}_proxy" for kind in ("http", "https", "all", "no"))
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "candidates.jsonl"


class Stop(Exception):
    """Stands for whatever ends a run: Control-C, a full disk, a closed laptop."""


def stop_after(n):
    """Return a callback that ends the run at the n-th candidate."""
    seen = []

    def on_done(row):
        seen.append(row["id"])
        if len(seen) == n:
            raise Stop

    return on_done


def ids(rows):
    return [row["id"] for row in rows]


def content(rows):
    """What has to be the same in two runs: everything but the time it took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def all_ids(problems, k):
    return [f"{problem.id}/{number}" for problem in problems for number in range(k)]


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["gpt", "", "hf:", "openai:", "openai:model", "openai:@http://localhost/v1", "Solver"]
)
def test_an_unknown_teacher_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"use 'recorded', 'solver', 'hf:.*openai:") as refused:
        teacher(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("model", ["deepseek-chat", "qwen2.5:7b", "@cf/meta/llama-3", "a@b"])
def test_a_server_is_named_by_model_and_address(model):
    server = teacher(f"openai:{model}@http://localhost:11434/v1", max_new_tokens=64)
    assert (server.name, server.base_url) == (model, "http://localhost:11434/v1")
    assert server.max_new_tokens == 64


def test_a_solver_is_named_solver():
    assert teacher("solver", template=TEMPLATES["boxed"]) == Solver(TEMPLATES["boxed"])
    assert teacher("solver:check") == Solver(form="check")
    assert [Solver().name, Solver(form="check").name] == ["solver", "solver:check"]


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match=r"'poem'.*terse.*columns"):
        teacher("solver:poem")


def test_a_form_that_cannot_write_a_system_says_so():
    problems = make_problems(2, ("two-step", "systems"))
    with pytest.raises(TeacherError, match=r"'check' cannot write 'Solve for x and y.*collect"):
        Solver(form="check").sample(problems)
    assert len(reject(Solver(form="collect").sample(problems))[0]) == 2


@pytest.mark.parametrize("form", FORMS)
def test_the_rules_keep_every_form(form):
    problems = make_problems(40, (*NARROW, "brackets-both", "large", "unsimplified", "letters"))
    kept, funnel = reject(Solver(form=form).sample(problems))
    assert len(kept) == len(problems), str(funnel)
    texts = [render_solution(problem, THINK, form) for problem in problems]
    assert [row["text"] for row in kept] == texts


# --- the solver ------------------------------------------------------------------------------


def test_the_solver_gives_one_exact_candidate_a_problem():
    rows = Solver().sample(PROBLEMS, k=4)
    assert [row["problem"] for row in rows] == [problem.record() for problem in PROBLEMS]
    assert [row["text"] for row in rows] == [render_solution(p, THINK) for p in PROBLEMS]
    assert len(reject(rows)[0]) == len(PROBLEMS)


def test_a_candidate_has_the_fields_of_a_journal_line():
    row = Solver().sample(PROBLEMS[:1])[0]
    assert set(row) == FIELDS
    assert row["id"] == f"{PROBLEMS[0].id}/0"
    assert Problem(**row["problem"]) == PROBLEMS[0]


def test_the_solvers_journal_is_what_it_returns(journal):
    seen = []
    rows = Solver().sample(PROBLEMS, journal=journal, on_done=seen.append)
    assert read_jsonl(journal) == rows == seen


def test_what_the_journal_holds_is_not_made_again(journal):
    rows = Solver().sample(PROBLEMS[:2], journal=journal)
    seen = []
    assert Solver().sample(PROBLEMS, journal=journal, on_done=seen.append)[:2] == rows
    assert ids(seen) == all_ids(PROBLEMS[2:], 1)
    assert len(read_jsonl(journal)) == 4


def test_a_journal_of_another_template_is_refused_and_left_alone(journal):
    Solver().sample(PROBLEMS, journal=journal)
    before = journal.read_bytes()
    with pytest.raises(JournalError, match="other settings"):
        Solver(TEMPLATES["boxed"]).sample(PROBLEMS, journal=journal)
    assert journal.read_bytes() == before


# --- the recording ---------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path):
    """Three candidates for each of the four problems, in the order of the problems."""
    about = {"name": "Qwen", "template": "think"}
    rows = [candidate_row(problem, about, n, text=f"text {n}", finish="eos", tokens=n, seconds=0.5)
            for problem in PROBLEMS for n in range(3)]  # fmt: skip
    return write_jsonl(tmp_path / "recording.jsonl", rows)


def test_a_recording_replays_its_candidates(recording):
    replay = Recorded(recording)
    rows = replay.sample([PROBLEMS[2], PROBLEMS[0]], k=2)
    assert ids(rows) == all_ids([PROBLEMS[2], PROBLEMS[0]], 2)
    assert rows[1]["text"] == "text 1"
    assert replay.name == "recorded: Qwen"


def test_a_recording_names_its_problems(recording):
    replay = Recorded(recording)
    assert replay.problems() == PROBLEMS
    assert replay.problems(["brackets"]) == [p for p in PROBLEMS if p.family == "brackets"]
    assert replay.problems([]) == []


def test_a_family_that_nobody_knows_is_named_with_the_recorded_ones(recording):
    with pytest.raises(ValueError, match="no problem of typo was recorded: choose from both-sides"):
        Recorded(recording).problems(["two-step", "typo"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": None}, "the field 'problem.split' is null"),
        ({"split": ...}, "no field 'problem.split'"),
        ({"hardness": 3}, ""),  # of another program: not needed
    ],
)
def test_a_recorded_problem_of_odd_shape_is_named_with_its_line(recording, change, said):
    rows = read_jsonl(recording)
    fields = {**rows[1]["problem"], **change}
    rows[1]["problem"] = {name: value for name, value in fields.items() if value is not ...}
    write_jsonl(recording, [rows[0], *rows[:2][1:], *rows[3:]])
    if said:
        with pytest.raises(
            TeacherError, match=rf"recording\.jsonl, line 2 is no candidate: {said}"
        ):
            Recorded(recording)
    else:
        assert Recorded(recording).problems() == PROBLEMS


def test_a_recorded_template_that_is_no_text_is_named(recording):
    rows = read_jsonl(recording)
    rows[0]["teacher"] = {"name": "Qwen", "template": ["think"]}
    write_jsonl(recording, rows)
    with pytest.raises(TeacherError, match=r"line 1 is no candidate: .*'teacher\.template' is"):
        Recorded(recording)


def test_another_recording_of_the_same_name_does_not_go_on_with_the_journal(recording, journal):
    Recorded(recording).sample(PROBLEMS[:1], k=3, journal=journal)
    write_jsonl(recording, [{**row, "text": "other"} for row in read_jsonl(recording)])
    with pytest.raises(JournalError, match=r"made with other settings \(content:"):
        Recorded(recording).sample(PROBLEMS, k=3, journal=journal)


def test_a_recording_gives_no_more_than_was_recorded(recording):
    assert len(Recorded(recording).sample(PROBLEMS, k=50)) == 12


def test_a_problem_that_was_never_recorded_is_an_error(recording):
    other = make_problem("7x = 21")
    with pytest.raises(TeacherError, match=r"1 problems were never recorded.*7x = 21"):
        Recorded(recording).sample([*PROBLEMS, other])


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_or_missing_recording_is_an_error(tmp_path, there):
    if there:
        (tmp_path / "no.jsonl").touch()
    with pytest.raises(TeacherError, match=r"no\.jsonl holds no candidates"):
        Recorded(tmp_path / "no.jsonl")


def test_a_replay_is_journaled_once(recording, journal):
    seen = []
    for _ in range(2):
        rows = Recorded(recording).sample(PROBLEMS, k=3, journal=journal, on_done=seen.append)
    assert read_jsonl(journal) == rows
    assert len(seen) == 12, "what is in the journal is not reported again"


def test_judging_a_replay_does_not_change_the_recording(recording):
    replay = Recorded(recording)
    reject(replay.sample(PROBLEMS))
    assert "verdict" not in replay.sample(PROBLEMS)[0]


def recorded_rows():
    try:
        return read_jsonl(data_path(RECORDED))
    except FileNotFoundError:
        pytest.skip(f"data/{RECORDED} is not there")


def test_the_kits_recording_is_well_formed():
    rows = recorded_rows()
    assert len(set(ids(rows))) == len(rows) >= 100
    assert len({json.dumps(row["teacher"], sort_keys=True) for row in rows}) == 1
    about = rows[0]["teacher"]
    assert {"name", "source", "sha256", "template", "sampling", "seed"} <= set(about)
    assert len(about["sha256"]) == 64 and about["template"] in TEMPLATES
    for row in rows:
        assert set(row) == FIELDS
        assert row["id"] == f"{row['problem']['id']}/{row['candidate']}"
        assert isinstance(row["text"], str) and row["finish"] in {"eos", "stop", "length"}
        assert row["tokens"] > 0 and row["seconds"] > 0
        problem = Problem(**row["problem"])
        assert make_problem(problem.equation, problem.family, problem.split) == problem


def test_the_kits_recording_shares_nothing_with_the_test_equations():
    recorded_rows()
    problems = Recorded().problems()
    assert {problem.split for problem in problems} == {"train"}
    test = make_problems(200, NARROW, "test", 100)
    ood = make_problems(100, OUT_OF_DISTRIBUTION, "ood", 100, avoid=test)
    assert overlap(problems, [*test, *ood]) == []


def test_the_kits_recording_has_good_and_bad_candidates_for_every_taught_family():
    rows = recorded_rows()
    kept, funnel = reject(rows)
    assert {one["problem"]["family"] for one in kept} >= set(NARROW)
    assert funnel.stopped["correct"] > 0 and funnel.stopped["steps"] > 0
    assert 0.5 < funnel.problems_kept / funnel.problems < 1


def test_a_teacher_answers_for_itself(recording, monkeypatch):
    monkeypatch.setattr(
        "distillkit.models.loading.load", lambda *_, **__: 1 / 0
    )  # nothing is loaded yet
    solver, replay, local = Solver(), Recorded(recording), teacher("hf:some/model")
    assert (solver.tries(4), replay.tries(4), local.tries(4)) == (1, 4, 4)
    assert (solver.spare, local.spare) == (1.0, 1.4)
    assert solver.problems(NARROW) is local.problems(NARROW) is None
    assert [p.id for p in replay.problems()] == [p.id for p in PROBLEMS]
    assert len(solver.sample(PROBLEMS, k=4)) == len(PROBLEMS)


def test_a_local_model_is_loaded_when_it_is_first_asked(tiny, monkeypatch):
    loaded = []

    def load(*asked):
        loaded.append(asked)
        return SimpleNamespace(model=tiny.model, tokenizer=tiny.tokenizer, name="Some/Model",
                               source="a hub", sha256="0" * 64)  # fmt: skip

    monkeypatch.setattr("distillkit.models.loading.load", load)
    monkeypatch.setattr("distillkit.models.loading.resolve", lambda *_: None)
    where = SimpleNamespace(device="cpu", dtype="float32")
    local = teacher("hf:x", where, max_new_tokens=8, shots=())
    local.fetch()
    assert local.name == "x" and not loaded
    rows = [local.sample(PROBLEMS[:1], k=1)[0] for _ in range(2)]
    assert (
        [row["teacher"]["name"] for row in rows] == [local.name, local.name] == 2 * ["Some/Model"]
    )
    assert loaded == [("x", "cpu", "float32")]


# --- a local model ---------------------------------------------------------------------------


def local(tiny, **options):
    return Local(tiny.model, tiny.tokenizer, "tiny", **{"max_new_tokens": 8, "shots": ()} | options)


@pytest.fixture(scope="module")
def unbroken(tiny):
    return local(tiny).sample(PROBLEMS, k=3, seed=1)


def test_a_local_model_gives_k_candidates_a_problem_in_order(unbroken):
    assert ids(unbroken) == all_ids(PROBLEMS, 3)
    assert all(set(row) == FIELDS and 0 < row["tokens"] <= 8 for row in unbroken)
    assert len({row["text"] for row in unbroken}) > 6, "candidates are sampled, not repeated"
    assert unbroken[0]["teacher"]["sampling"] == {"temperature": 0.7, "max_new_tokens": 8}


def test_the_seed_decides_what_a_local_model_says(tiny, unbroken):
    assert content(local(tiny).sample(PROBLEMS, k=3, seed=1)) == content(unbroken)
    other = local(tiny).sample(PROBLEMS, k=3, seed=2)
    assert [row["text"] for row in other] != [row["text"] for row in unbroken]


def test_a_local_model_is_shown_the_examples(tiny):
    plain = local(tiny).sample(PROBLEMS[:1], k=1, temperature=0)
    shown = local(tiny, shots=SHOTS[:1]).sample(PROBLEMS[:1], k=1, temperature=0)
    assert plain[0]["text"] != shown[0]["text"]
    assert (plain[0]["teacher"]["shots"], shown[0]["teacher"]["shots"]) == (0, 1)


@pytest.mark.parametrize("n", [1, 5, 11])
def test_a_stopped_run_goes_on_to_the_same_candidates(tiny, unbroken, journal, n):
    with pytest.raises(Stop):
        local(tiny).sample(PROBLEMS, k=3, seed=1, journal=journal, on_done=stop_after(n))
    assert len(read_jsonl(journal)) == n
    seen = []
    rows = local(tiny).sample(PROBLEMS, k=3, seed=1, journal=journal, on_done=seen.append)
    assert content(rows) == content(unbroken)
    assert len(seen) == 12 - n, "what was there is not reported again"
    assert sorted(ids(read_jsonl(journal))) == sorted(ids(unbroken))


def test_a_torn_last_line_is_made_again(tiny, unbroken, journal):
    with pytest.raises(Stop):
        local(tiny).sample(PROBLEMS, k=3, seed=1, journal=journal, on_done=stop_after(5))
    journal.write_bytes(journal.read_bytes()[:-30])
    rows = local(tiny).sample(PROBLEMS, k=3, seed=1, journal=journal)
    assert content(rows) == content(unbroken)
    assert len(read_jsonl(journal)) == 12


def test_a_finished_journal_does_not_ask_the_model(tiny, journal, monkeypatch):
    rows = local(tiny).sample(PROBLEMS, k=2, journal=journal)
    monkeypatch.setattr(
        "distillkit.generation.sampler.sample", lambda *_, **__: pytest.fail("asked")
    )
    assert local(tiny).sample(PROBLEMS, k=2, journal=journal) == rows
    assert local(tiny).sample(PROBLEMS[1:2], k=1, journal=journal) == rows[2:3]


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.8},
        {"seed": 2},
        {"max_new_tokens": 9},
        {"template": TEMPLATES["boxed"]},
        {"shots": SHOTS[:2]},
        {"shots": SHOTS[1:2]},
        {"sha256": "0" * 64},
        {"form": "columns"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_journal_of_other_settings_is_refused(tiny, journal, other):
    local(tiny, shots=SHOTS[:1]).sample(PROBLEMS[:1], k=1, seed=1, journal=journal)
    call = {name: other[name] for name in ("temperature", "seed") if name in other}
    options = {name: value for name, value in other.items() if name not in call}
    before = journal.read_bytes()
    options = {"shots": SHOTS[:1], **options}
    with pytest.raises(JournalError, match=r"candidates\.jsonl was made with other settings"):
        local(tiny, **options).sample(PROBLEMS[:1], **{"k": 1, "seed": 1} | call, journal=journal)
    assert journal.read_bytes() == before


def test_a_journal_of_another_wording_is_refused(journal):
    """A reworded problem keeps its id; its old solution names another letter."""
    Solver().sample(PROBLEMS[:2], journal=journal)
    other = replace(PROBLEMS[1], text="Find it.")
    with pytest.raises(TeacherError, match=f"another wording of {other.id}: give a new file"):
        Solver().sample([PROBLEMS[0], other], journal=journal)


@pytest.mark.parametrize(("change", "said"), [
    ({"text": None}, "line 2: the field 'text' is null"),
    ({"problem": "x"}, "line 2: the field 'problem' is"),
    ({"teacher": "gpt"}, "line 2: the field 'teacher' is"),
])  # fmt: skip
def test_an_odd_row_of_journal_or_recording_is_a_sentence(journal, change, said):
    rows = Solver().sample(PROBLEMS[:2], journal=journal)
    about, *lines = journal.read_text().splitlines()
    journal.write_text("\n".join([about, json.dumps({**rows[0], **change}), lines[1]]) + "\n")
    with pytest.raises(JournalError, match=said):
        Solver().sample(PROBLEMS[:2], journal=journal)
    with pytest.raises(TeacherError, match=said.partition(":")[0]):
        Recorded(journal)


# --- a server --------------------------------------------------------------------------------


@pytest.fixture
def api():
    api = API()
    yield api
    api.stop()


def served(api, **options):
    return Server("qwen", api.url, **{"max_retries": 2, "timeout": 10.0} | options)


def refusal(api, problems=PROBLEMS[:1], k=1, journal=None, **options):
    """Return the message of the TeacherError that a run ends with."""
    with pytest.raises(TeacherError) as stopped:
        served(api, **options).sample(problems, k, journal=journal)
    return str(stopped.value)


def test_a_server_gives_k_candidates_a_problem(api):
    rows = served(api).sample(PROBLEMS, k=3)
    assert ids(rows) == all_ids(PROBLEMS, 3)
    for row in rows:
        assert set(row) == FIELDS
        assert (row["finish"], row["tokens"]) == ("eos", 7)
        assert 0 < row["seconds"] < 10
        assert not any(judge(row).values())


def test_the_request_has_the_examples_and_the_settings(api):
    served(api, max_new_tokens=77).sample(PROBLEMS[:1], k=1, temperature=0.3, seed=5)
    request = api.requests[0]
    assert request["path"] == "/v1/chat/completions"
    assert request["messages"] == messages(PROBLEMS[0].text, THINK, SHOTS)
    expected = {"model": "qwen", "temperature": 0.3, "seed": 5000, "max_tokens": 77}
    assert {name: request[name] for name in expected} == expected


def test_each_candidate_of_a_problem_has_a_seed_of_its_own(api):
    served(api).sample(PROBLEMS, k=3, seed=10)
    expected = [(problem.text, 10_000 + n) for problem in PROBLEMS for n in range(3)]
    assert Counter(api.asked()) == Counter(expected)


def test_the_order_is_that_of_the_problems_not_of_the_answers(api, journal):
    def behave(request, count):
        time.sleep(0.05 * (4 - [p.text for p in PROBLEMS].index(question(request))))

    api.behave = behave
    rows = served(api, parallel=4).sample(PROBLEMS, k=1, journal=journal)
    assert ids(rows) == all_ids(PROBLEMS, 1)
    assert ids(read_jsonl(journal)) != ids(rows), "the answers came in another order"


def test_only_so_many_requests_are_under_way(api):
    now, most, lock = [0], [0], threading.Lock()

    def behave(request, count):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with lock:
            now[0] -= 1

    api.behave = behave
    served(api, parallel=2).sample(PROBLEMS, k=3)
    assert most[0] == 2


def test_a_cut_off_answer_is_marked(api):
    api.behave = lambda request, count: completion(request, "<think>3x", finish_reason="length")
    (row,) = served(api).sample(PROBLEMS[:1], k=1)
    assert row["finish"] == "length"
    assert judge(row)["finished"] == "cut off before the end"


@pytest.mark.parametrize("message", [{"content": None}, {"content": None, "refusal": "no"}, {}])
def test_an_answer_without_text_is_an_empty_candidate(api, message):
    api.behave = lambda request, count: completion(request, message={"role": "a", **message})
    (row,) = served(api).sample(PROBLEMS[:1], k=1)
    assert row["text"] == "" and reject([row])[0] == []


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": None}, "absent"])
def test_the_number_of_tokens_may_be_missing(api, usage):
    def behave(request, count):
        answer = completion(request) | {"usage": usage}
        return {k: v for k, v in answer.items() if v != "absent"}

    api.behave = behave
    (row,) = served(api).sample(PROBLEMS[:1], k=1)
    assert row["tokens"] == 0


def test_half_a_surrogate_pair_does_not_stop_the_run(api, journal):
    api.behave = lambda request, count: completion(request, "x = 5 \ud83d")
    rows = served(api).sample(PROBLEMS[:1], k=1, journal=journal)
    assert read_jsonl(journal) == rows
    assert rows[0]["text"] == "x = 5 ?"


# --- a server that has trouble ---------------------------------------------------------------


def test_a_rate_limit_is_waited_for(api):
    def behave(request, count):
        if count == 0:
            return failure(429, "slow down", retry_after_ms="", retry_after="0.2")

    api.behave = behave
    began = time.monotonic()
    rows = served(api).sample(PROBLEMS[:1], k=1)
    assert time.monotonic() - began >= 0.2
    assert len(api.requests) == 2 and not any(judge(rows[0]).values())


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_trouble_is_tried_again(api, status):
    api.behave = lambda request, count: failure(status, "busy") if count < 2 else None
    rows = served(api).sample(PROBLEMS[:1], k=1)
    assert len(api.requests) == 3 and len(rows) == 1


def test_a_lasting_rate_limit_is_explained(api):
    api.behave = lambda request, count: failure(429, "quota exceeded")
    assert "limits the rate or the quota is used up" in refusal(api, max_retries=1)
    assert len(api.requests) == 2


def test_a_lasting_server_error_is_passed_on(api):
    api.behave = lambda request, count: failure(500, "the GPU is on fire")
    message = refusal(api, max_retries=1)
    assert api.url in message and "the GPU is on fire" in message
    assert len(api.requests) == 2


def test_a_refused_key_is_explained_and_not_tried_again(api, monkeypatch):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    api.behave = lambda request, count: failure(401, f"Incorrect API key provided: {KEY}")
    message = refusal(api)
    assert "refused the key" in message and "DISTILLKIT_API_KEY" in message
    assert KEY not in message and len(api.requests) == 1


def test_an_unknown_model_is_explained(api):
    api.behave = lambda request, count: failure(404, "model 'qwen' not found, try pulling it first")
    message = refusal(api)
    assert "does not know the model 'qwen' or the path" in message
    assert len(api.requests) == 1


UNUSABLE = {
    "empty object": {},
    "no choices": {"choices": []},
    "choices null": {"choices": None},
    "empty choice": {"choices": [{}]},
    "message null": {"choices": [{"message": None}]},
    "an error with status 200": {"error": {"message": "model is loading"}},
    "list": [],
    "text": "text",
    "null": b"null",
    "torn JSON": b"{",
    "empty body": b"",
    "not UTF-8": b"\xff\xfe",
    "deep JSON": b"[" * 100_000,
    "HTML": (200, {"Content-Type": "text/html"}, b"<html>It works!</html>"),
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_answer_is_an_error_that_names_the_server(api, answer, journal):
    api.behave = lambda request, count: answer
    message = refusal(api, journal=journal, max_retries=0)
    assert api.url in message and "unusable answer" in message
    assert read_jsonl(journal) == []


def test_a_server_that_is_too_slow_is_not_waited_for(api):
    hold = threading.Event()
    api.behave = lambda request, count: hold.wait(120) and None  # then it would be a good answer
    message = refusal(api, timeout=0.2, max_retries=0)
    hold.set()
    assert "did not answer in time" in message


def test_a_server_that_is_not_there_is_explained():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        with pytest.raises(TeacherError, match="cannot be reached") as stopped:
            Server("qwen", url, max_retries=0).sample(PROBLEMS[:1], k=1)
    assert url in str(stopped.value)


def test_an_answer_that_breaks_off_is_an_error(api):
    api.behave = lambda request, count: (200, {"Content-Length": 999, "Connection": "close"}, b"{")
    api.http.RequestHandlerClass.protocol_version = "HTTP/1.0"  # closes after the answer
    assert "cannot be reached" in refusal(api, max_retries=0)


# --- stopping and going on -------------------------------------------------------------------


def test_a_server_that_dies_costs_nothing_that_it_answered(api, journal):
    """Five answers, then the server is gone; later one with the same address is back."""
    api.behave = lambda request, count: None if count < 5 else failure(500, "out of memory")
    assert "out of memory" in refusal(api, PROBLEMS, 3, journal, max_retries=0, parallel=1)
    api.stop()
    assert "cannot be reached" in refusal(api, PROBLEMS, 3, journal, max_retries=0)
    done = read_jsonl(journal)
    assert len(done) == 5

    api.start()
    api.requests.clear()
    api.behave = lambda request, count: None
    rows = served(api).sample(PROBLEMS, 3, journal=journal)
    assert ids(rows) == all_ids(PROBLEMS, 3)
    known = set(ids(done))
    missing = [(p.text, n) for p in PROBLEMS for n in range(3) if f"{p.id}/{n}" not in known]
    assert Counter(api.asked()) == Counter(missing), "only what is missing is asked for"
    api.requests.clear()
    assert served(api).sample(PROBLEMS, 3, journal=journal) == rows
    assert api.requests == []


def test_answers_under_way_are_kept_when_another_request_fails(api, journal):
    bad, arrived = PROBLEMS[0].text, threading.Barrier(4)

    def behave(request, count):
        arrived.wait(5)  # all four are under way
        if question(request) == bad:
            return failure(401, "no")
        time.sleep(0.2)

    api.behave = behave
    assert "no" in refusal(api, PROBLEMS, 1, journal, parallel=4)
    assert sorted(ids(read_jsonl(journal))) == sorted(all_ids(PROBLEMS[1:], 1))


def test_after_a_failure_nothing_more_is_asked(api):
    api.behave = lambda request, count: failure(401, "no")
    refusal(api, make_problems(40), 4, parallel=2)
    assert len(api.requests) <= 2, "one for each thread"


def test_a_stopped_run_sends_nothing_more_and_goes_on_later(api, journal):
    problems = make_problems(30)
    api.behave = lambda request, count: time.sleep(0.05)
    with pytest.raises(Stop):
        served(api, parallel=2).sample(problems, 1, journal=journal, on_done=stop_after(3))
    time.sleep(0.1)  # what is under way may still arrive
    sent = len(api.requests)
    assert sent < 15
    time.sleep(0.2)
    assert len(api.requests) == sent
    done = len(read_jsonl(journal))
    api.behave = lambda request, count: None
    api.requests.clear()
    assert ids(served(api).sample(problems, 1, journal=journal)) == all_ids(problems, 1)
    assert len(api.requests) == 30 - done


def test_a_journal_of_another_server_is_refused(api, journal):
    served(api).sample(PROBLEMS[:1], 1, journal=journal)
    api.requests.clear()
    with pytest.raises(JournalError, match="other settings"):
        Server("llama", api.url).sample(PROBLEMS, 1, journal=journal)
    assert api.requests == []


# --- the key ---------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_and_stays_out_of_the_journal(api, journal, monkeypatch):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    rows = served(api).sample(PROBLEMS, 2, journal=journal)
    assert {request["headers"]["authorization"] for request in api.requests} == {f"Bearer {KEY}"}
    assert KEY.encode() not in journal.read_bytes() and KEY not in json.dumps(rows)


def test_the_key_of_openai_goes_to_openai_only(api, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    served(api).sample(PROBLEMS[:1], 1)
    assert "sk-other" not in str(api.requests[0]["headers"])
    keys = {url: Server("qwen", url)._client.api_key for url in (
        "https://api.openai.com/v1", "https://api.openai.com.example.com/v1",
        "https://example.com/api.openai.com", "http://192.168.0.7/v1")}  # fmt: skip
    assert list(keys.values()) == ["sk-other", "none", "none", "none"]


def test_the_kits_own_variable_comes_first(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    assert Server("gpt", "https://api.openai.com/v1")._client.api_key == KEY


def test_white_space_around_the_key_is_dropped(api, monkeypatch):
    monkeypatch.setenv("DISTILLKIT_API_KEY", f" {KEY}\r\n")  # as read from a file
    served(api).sample(PROBLEMS[:1], 1)
    assert api.requests[0]["headers"]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_a_server_on_this_machine_needs_no_key(api, monkeypatch, blank):
    monkeypatch.setenv("DISTILLKIT_API_KEY", blank)
    assert len(served(api).sample(PROBLEMS[:1], 1)) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_a_server_that_echoes_the_key_does_not_get_it_printed(api, monkeypatch, status):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    api.behave = lambda request, count: failure(status, f"your key {KEY} is bad")
    message = refusal(api, max_retries=0)
    assert KEY[:8] not in message and KEY[-8:] not in message


def test_shortening_a_long_message_leaves_no_part_of_the_key(api, monkeypatch):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    api.behave = lambda request, count: failure(400, "x" * (200 + 5 * count) + KEY)
    for _ in range(25):  # somewhere here the cut falls inside the key
        assert KEY[:6] not in refusal(api, max_retries=0)


def test_a_server_cannot_smuggle_the_key_into_the_traceback(api, monkeypatch):
    import traceback

    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    api.behave = lambda request, count: failure(400, f"your key {KEY} is bad")
    with pytest.raises(TeacherError) as stopped:
        served(api).sample(PROBLEMS[:1], 1)
    assert KEY not in "".join(traceback.format_exception(stopped.value))


def test_a_key_does_not_travel_unencrypted(monkeypatch):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    with pytest.raises(TeacherError, match=r"unencrypted to api\.example\.com: use https") as no:
        Server("qwen", "http://api.example.com/v1")
    assert KEY not in str(no.value)


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", "http://localhost:1/v1", "http://[::1]:1/v1"]
)
def test_a_key_may_go_to_this_machine_or_over_https(monkeypatch, url):
    monkeypatch.setenv("DISTILLKIT_API_KEY", KEY)
    assert Server("qwen", url).base_url == url


def test_a_server_elsewhere_without_encryption_is_allowed_without_a_key():
    assert Server("qwen", "http://192.168.0.7:11434/v1").name == "qwen"


@pytest.mark.parametrize(
    "url", ["", "localhost:11434/v1", "api.example.com/v1", "http://", "http:///v1",
            "ftp://example.com/v1", "file:///etc/passwd", "http://[::1/v1",
            "http://localhost:port/v1", "http://localhost:99999/v1"]
)  # fmt: skip
def test_a_bad_address_is_refused_at_once(url):
    with pytest.raises(ValueError):
        Server("qwen", url)


def test_a_password_in_the_address_is_refused_and_not_printed():
    for make in (lambda url: Server("qwen", url), lambda url: teacher(f"openai:qwen@{url}")):
        with pytest.raises(ValueError, match="password") as refused:
            make("https://user:hunter2@example.com/v1")
        assert "hunter2" not in str(refused.value)


def test_the_examples_that_a_teacher_is_shown_have_its_form(tiny, monkeypatch):
    asked = []

    def sample(model, tokenizer, prompts, *_, **__):
        asked.extend(prompts)
        raise KeyboardInterrupt

    monkeypatch.setattr("distillkit.generation.sampler.sample", sample)
    for form in ("terse", "check"):
        with pytest.raises(KeyboardInterrupt):
            Local(tiny.model, tiny.tokenizer, "tiny", form=form).sample(make_problems(1), 1)
    assert "check: " in asked[1] and "check: " not in asked[0]
