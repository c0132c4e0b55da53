"""Applications that hand over mail and, when they get no answer, ask again by their key."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.checker import AcceptedLedger
from support.program import Program

_TEXT = "Grüße\n.\n" * 40


@dataclass(slots=True)
class Senders:
    """Threads that share an endless row of numbers, until they are told to stop."""

    box: Program
    key: str
    ledger: AcceptedLedger
    prefix: str = "order"
    recipient: Callable[[int], str] = "user{}@kunde.test".format
    fields: dict[str, str] = field(default_factory=dict)
    """More of what POST /v1/messages takes, such as the relay."""
    repeats: int = 0
    """Requests that were sent again because no 202 came."""
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    """How long each answer took."""
    without_retry_after: int = 0
    """Refusals (503) that do not say when to ask again."""
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def handed_over(self) -> int:
        return self._next

    def run(self, most: int | None = None) -> None:
        """One application: number after number, each until it is acknowledged."""
        pause = threading.Event()
        while not self._ended.is_set():
            with self._lock:
                if most is not None and self._next >= most:
                    return
                number = self._next
                self._next += 1
            while not self._send(number):
                with self._lock:
                    self.repeats += 1
                if self._ended.is_set():
                    return
                pause.wait(0.02)

    def _send(self, number: int) -> bool:
        body = {
            "from": "shop@shop.test",
            "to": self.recipient(number),
            "subject": f"number {number}",
            "text": _TEXT,
            **self.fields,
        }
        name, began = f"{self.prefix}-{number}", time.monotonic()
        try:
            answer = self.box.ask(
                "POST", "/v1/messages", body, key=self.key, headers={"Idempotency-Key": name}
            )
        except (OSError, http.client.HTTPException):
            return False
        with self._lock:
            self.seconds.append(time.monotonic() - began)
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            is_refusal = answer.status in (503, 507)
            self.without_retry_after += is_refusal and "retry-after" not in answer.headers
        if answer.status != 202:
            return False
        self.ledger.append(name, str(answer.body["id"]))
        return True

    def stop(self) -> None:
        self._ended.set()


@contextmanager
def sending(senders: Senders, *, count: int = 4, most: int | None = None) -> Iterator[Senders]:
    """
    So many at once. Leaving the block waits for what each has begun; for all of `most` if given.
    """
    threads = [
        threading.Thread(target=senders.run, args=(most,), daemon=True) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield senders
        if most is not None:
            for thread in threads:
                thread.join(300)
                assert not thread.is_alive(), "mail was not acknowledged in time"
    finally:
        senders.stop()
        for thread in threads:
            thread.join(30)
