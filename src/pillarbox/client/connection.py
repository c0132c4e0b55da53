"""One way to call the API, whoever answers: a server, or the application in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pillarbox.base import ids
from pillarbox.base.clock import Clock, SystemClock
from pillarbox.base.errors import Conflict, PillarboxError, Unavailable
from pillarbox.base.http import Ask, Http, HttpAnswer, Unanswered
from pillarbox.client.problems import problem, retry_after

_WAITS = (0.2, 0.5, 1.0)  # seconds before the second, third and fourth try
_LONGEST_WAIT = timedelta(seconds=5)  # a server that asks for more gets its refusal passed on
_SAFE = frozenset({"GET"})
_IN_PROGRESS = "idempotency_in_progress"
_PATIENT_SECONDS = 330.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API. `patient` waits for relays, which may take minutes."""

    method: str
    path: str
    query: Mapping[str, object] | None = None
    body: Any = None
    idempotency_key: str | None = None
    patient: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether a second copy of this request changes nothing."""
        return self.method in _SAFE or self.idempotency_key is not None

    def as_ask(self) -> Ask:
        headers = {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}
        ask = Ask(
            method=self.method, path=self.path, query=self.query, body=self.body, headers=headers
        )
        return replace(ask, timeout_seconds=_PATIENT_SECONDS) if self.patient else ask


class Connection:
    """Calls, repeated a few times where that is harmless. Time is an argument."""

    def __init__(self, http: Http, clock: Clock | None = None) -> None:
        self._http = http
        self.clock: Clock = clock or SystemClock()

    async def json(self, call: Call) -> Any:
        """The JSON of the answer. Raises what the server refused: see base/errors.py."""
        return (await self.ask(call)).json

    async def ask(self, call: Call) -> HttpAnswer:
        """The answer, a good one. Raises PillarboxError."""
        for wait in _WAITS:
            try:
                return await self._ask_once(call)
            except Unavailable as error:
                if not _is_worth_repeating(call, error):
                    raise
                await self.clock.sleep(_pause(wait, error))
        return await self._ask_once(call)

    @property
    def can_stream(self) -> bool:
        """Whether `stream` works; in this process it does not."""
        return self._http.can_stream

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of an endless answer. Raises PillarboxError, also when it breaks off."""
        async with self._http.stream(call.as_ask()) as answer:
            if isinstance(answer, HttpAnswer):
                raise self._refusal(answer)
            yield answer

    async def close(self) -> None:
        await self._http.close()

    async def _ask_once(self, call: Call) -> HttpAnswer:
        answer = await self._http.ask(call.as_ask())
        if 200 <= answer.status < 300:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: HttpAnswer) -> PillarboxError:
        told = answer.json
        if isinstance(told, dict) and told.get("code") == _IN_PROGRESS:
            # The first request with this key is being answered: its answer will be ours.
            return Unavailable(str(told.get("detail")), retry_after=retry_after(answer))
        return problem(answer, self._http.url)


def not_there(box: object, name: str, opening: str) -> Exception:
    """Why a box has no such attribute: most come with opening it, which `opening` shows."""
    is_open = "messages" in vars(box)
    if is_open or name.startswith("__"):
        return AttributeError(f"{type(box).__name__} has no attribute {name!r}")
    return Conflict(f"open it first: {opening}")


def _is_worth_repeating(call: Call, error: Unavailable) -> bool:
    if isinstance(error, Unanswered):
        return call.may_repeat or not error.was_sent
    return call.may_repeat and type(error) is Unavailable and error.retry_after <= _LONGEST_WAIT


def _pause(wait: float, error: Unavailable) -> float:
    asked = 0.0 if isinstance(error, Unanswered) else error.retry_after.total_seconds()
    return max(asked, wait) * (1 + 0.2 * ids.chance())
