"""Readings by a language model behind an OpenAI-compatible endpoint.

Transient failures are repeated with growing waits; every answer goes to the journal before
anything else happens to it, so that no finished row is lost or paid for twice.

What this leaves out: checking what the model wrote (`verify`); batch interfaces.
"""

import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ecg_r1.corpus.journal import Answer, Job, Journal, fingerprint
from ecg_r1.corpus.prompt import messages

if TYPE_CHECKING:
    import httpx

_TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_FATAL = (401, 402, 403, 404)  # no other row will fare better


class EndpointError(RuntimeError):
    """The endpoint cannot be used as it is configured, or has stopped answering."""


class RestrictedError(ValueError):
    """A record under a data-use agreement would have left this machine."""


class _Transient(Exception):  # noqa: N818 (never leaves this module)
    """A failure that may pass, and how long the server asks to wait (s)."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Endpoint:
    """Where the model is and how to treat it.

    Attributes:
        base_url: Up to and with "/v1".
        model: Its name there.
        key: Bearer token; "" sends none. Kept out of `repr`.
        concurrency: Requests at once.
        timeout_s: For one request; a model's whole answer must fit.
        retries: Further attempts after the first, per row.
        first_wait_s: Before the second attempt; doubles with each, up to `longest_wait_s`.
        longest_wait_s: Also the longest Retry-After that is waited for.
        max_tokens: Of an answer.
        temperature: Of the sampling.
        prompt_price: Per million tokens, in the currency you think in.
        completion_price: Per million tokens.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    concurrency: int = 4
    timeout_s: float = 180.0
    retries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    max_tokens: int = 2048
    temperature: float = 0.7
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url {self.base_url!r} must begin with http:// or https://")
        if not self.model:
            raise ValueError("model '' is no name: say which model to ask for")
        if self.concurrency < 1 or self.retries < 0 or self.timeout_s <= 0:
            raise ValueError(
                f"concurrency {self.concurrency}, retries {self.retries} and timeout_s "
                f"{self.timeout_s:g} must be at least 1, at least 0 and above 0"
            )

    @classmethod
    def from_environment(cls, **changes: Any) -> "Endpoint":
        """The endpoint that ECG_R1_LLM_URL, ECG_R1_LLM_MODEL and ECG_R1_LLM_KEY name.

        Args:
            changes: Further fields.

        Raises:
            ValueError: If the URL or the model is not set.
        """
        names = {"base_url": "ECG_R1_LLM_URL", "model": "ECG_R1_LLM_MODEL"}
        missing = [name for name in names.values() if not os.environ.get(name)]
        if missing:
            raise ValueError(
                f"{' and '.join(missing)} not set: give the URL of an OpenAI-compatible "
                "endpoint (https://.../v1) and a model's name there"
            )
        fields = {field_: os.environ[name] for field_, name in names.items()}
        return cls(**fields, key=os.environ.get("ECG_R1_LLM_KEY", ""), **changes)


@dataclass(frozen=True)
class Spent:
    """What a run has cost so far; rows from the journal cost nothing.

    Attributes:
        rows: Answers received.
        reused: Answers taken from the journal.
        failed: Rows without an answer.
        attempts: Requests sent, failed ones included.
        prompt_tokens: As counted by the endpoint.
        completion_tokens: As counted by the endpoint.
        cost: By the endpoint's prices.
    """

    rows: int = 0
    reused: int = 0
    failed: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.rows} rows written, {self.reused} from the journal, {self.failed} failed; "
            f"{self.attempts} requests, {self.prompt_tokens:,} + {self.completion_tokens:,} "
            f"tokens, cost {self.cost:.4f}"
        )


class EndpointWriter:
    """Asks an endpoint for readings.

    Args:
        endpoint: Where and how.
        journal: Keeps every answer; what it holds already is not asked again.
        allow_restricted: Your data-use agreement allows it to send what was derived from
            restricted records (MIMIC) to this endpoint.
    """

    def __init__(
        self, endpoint: Endpoint, journal: Journal, *, allow_restricted: bool = False
    ) -> None:
        self.endpoint, self.journal = endpoint, journal
        self.allow_restricted = allow_restricted
        self.spent = Spent()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._failed_in_a_row = 0

    def answers(self, jobs: Iterable[Job]) -> Iterator[Answer]:
        """An answer for each job, in their order; memory does not grow with their number.

        Raises:
            RestrictedError: At the first restricted job, unless these are allowed.
            EndpointError: If the endpoint refuses us, or nothing has answered for twice as
                many rows as are asked at once. Finished rows are in the journal.
        """
        import httpx  # noqa: PLC0415  (the llm extra)

        self._stopped.clear()
        url = self.endpoint.base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}
        limits = httpx.Limits(max_connections=self.endpoint.concurrency)
        with (
            httpx.Client(
                base_url=url, headers=headers, timeout=self.endpoint.timeout_s, limits=limits
            ) as client,
            ThreadPoolExecutor(self.endpoint.concurrency) as pool,
        ):
            waiting: deque[Future[Answer]] = deque()
            try:
                for job in jobs:
                    self._refuse_restricted(job)
                    waiting.append(pool.submit(self._answer, client, job))
                    if len(waiting) >= 4 * self.endpoint.concurrency:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:  # also when the caller stops early
                self._stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def chat(self, job: Job) -> list[dict[str, Any]]:
        """The conversation that is sent for a job; evaluation asks other things."""
        return messages(job.plan)

    def _refuse_restricted(self, job: Job) -> None:
        if job.restricted and not self.allow_restricted:
            raise RestrictedError(
                f"{job.sample_id} is under a data-use agreement and would be sent to "
                f"{self.endpoint.base_url}: use the template or a local model, or allow it "
                "where your agreement does"
            )

    def _answer(self, client: "httpx.Client", job: Job) -> Answer:
        chat = self.chat(job)
        key = fingerprint(self.endpoint.model, chat)
        kept = self.journal.find(key)
        if kept is not None:
            self._count(reused=1)
            return replace(kept, sample_id=job.sample_id)
        try:
            answer = self._ask(client, job.sample_id, chat)
        except _Transient as error:
            self._count(failed=1)
            self._note_failure(str(error))
            return Answer(job.sample_id, "", error=str(error))
        if answer.error:
            self._count(failed=1)
            return answer
        self.journal.keep(key, answer)
        self._failed_in_a_row = 0
        prices = self.endpoint.prompt_price, self.endpoint.completion_price
        tokens = answer.prompt_tokens, answer.completion_tokens
        cost = sum(price * n for price, n in zip(prices, tokens, strict=True)) / 1e6
        self._count(rows=1, prompt_tokens=tokens[0], completion_tokens=tokens[1], cost=cost)
        return answer

    def _count(self, **more: float) -> None:
        with self._lock:
            now = {name: getattr(self.spent, name) + value for name, value in more.items()}
            self.spent = replace(self.spent, **now)

    def _note_failure(self, reason: str) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            is_dead = self._failed_in_a_row >= 2 * self.endpoint.concurrency
        if is_dead:
            self._stopped.set()
            raise EndpointError(
                f"{self.endpoint.base_url} gave no answer to {self._failed_in_a_row} rows "
                f"running, last: {reason}; finished rows are kept in {self.journal.path}"
            )

    def _ask(
        self, client: "httpx.Client", sample_id: str, chat: list[dict[str, str]]
    ) -> Answer:
        """One row with its repetitions."""
        for attempt in range(self.endpoint.retries + 1):
            if self._stopped.is_set():
                raise _Transient("stopped")
            self._count(attempts=1)
            try:
                return self._once(client, sample_id, chat)
            except _Transient as error:
                if attempt == self.endpoint.retries:
                    raise
                self._stopped.wait(self._wait_s(attempt, error.wait_s))
        raise AssertionError("unreachable")

    def _wait_s(self, attempt: int, asked_s: float) -> float:
        """Twice as long each time, between half and all of it; never less than asked for."""
        longest = min(self.endpoint.first_wait_s * 2**attempt, self.endpoint.longest_wait_s)
        jittered = longest * random.uniform(0.5, 1.0)
        return max(jittered, min(asked_s, self.endpoint.longest_wait_s))

    def _once(
        self, client: "httpx.Client", sample_id: str, chat: list[dict[str, str]]
    ) -> Answer:
        import httpx  # noqa: PLC0415

        body = {
            "model": self.endpoint.model,
            "messages": chat,
            "temperature": self.endpoint.temperature,
            "max_tokens": self.endpoint.max_tokens,
        }
        try:
            response = client.post("/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise _Transient(f"{type(error).__name__}: {error}") from error
        status = response.status_code
        shown = response.text[:200]
        if status in _TRANSIENT:
            wait_s = _retry_after_s(response.headers)
            raise _Transient(f"HTTP {status}: {shown}", wait_s)
        if status in _FATAL:
            self._stopped.set()
            raise EndpointError(
                f"{self.endpoint.base_url} refuses with HTTP {status}: {shown!r}; check its "
                f"URL, the model {self.endpoint.model!r}, and ECG_R1_LLM_KEY"
            )
        if status != 200:
            return Answer(sample_id, "", error=f"HTTP {status}: {shown}")
        return _read(response, sample_id)


def _read(response: "httpx.Response", sample_id: str) -> Answer:
    """The answer in a response; one that is not understood may be better next time."""
    try:
        data = response.json()
        choice = data["choices"][0]
        text = choice["message"]["content"]
        usage: Mapping[str, Any] = data.get("usage") or {}
        counts = [int(usage.get(f"{part}_tokens") or 0) for part in ("prompt", "completion")]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _Transient(f"no answer in {response.text[:120]!r} ({error})") from error
    if not isinstance(text, str) or not text.strip():
        raise _Transient(f"an empty answer: {text!r}")
    reason = str(choice.get("finish_reason") or "stop")
    return Answer(sample_id, text.strip(), "", *counts, finish_reason=reason)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date; 0 without one."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    return max(0.0, (until - now).total_seconds())
