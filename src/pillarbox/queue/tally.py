"""What this process has taken in and tried since it started. Plain numbers, always counting."""

from __future__ import annotations

from collections import Counter

from pillarbox.mail.outcome import Failed
from pillarbox.queue.message import Attempt, Parcel


class Tally:
    """
    accepted counts messages by (inlet, stream).

    attempts counts recorded attempts by (relay id, outcome, stage); the stage is where a
    failed one failed, and empty otherwise.
    """

    def __init__(self) -> None:
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.attempts: Counter[tuple[str, str, str]] = Counter()

    def accept(self, parcel: Parcel) -> None:
        self.accepted[parcel.inlet, parcel.stream.name] += 1

    def end(self, attempt: Attempt) -> None:
        outcome = attempt.outcome
        stage = outcome.stage.value if isinstance(outcome, Failed) else ""
        self.attempts[attempt.relay_id, type(outcome).__name__.lower(), stage] += 1
