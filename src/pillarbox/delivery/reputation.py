"""What attempts have shown of a relay: that it carries mail, or that it says nothing to it."""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.delivery.judge import Judged, silent
from pillarbox.mail.outcome import Unknown
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay

_SILENT_ENDS = 3  # transactions without an answer after the dot, until the relay rests


class Reputation:
    """Of one relay, in this process. proven_version carried mail since its last trouble."""

    def __init__(self) -> None:
        self.proven_version: int | None = None
        self._silent_ends = 0  # in a row

    def carries(self, relay: Relay) -> bool:
        """Whether this version of the relay is known to take mail."""
        return bool(relay.checked_well) or self.proven_version == relay.version

    def learn(self, relay: Relay, judged: Sequence[Judged]) -> Trouble | None:
        """What a transaction showed; the trouble for which the relay rests, if there is any."""
        troubles = [each.trouble for each in judged if each.trouble is not None]
        trouble = troubles[0] if troubles else self._silence(relay, judged)
        if trouble is None and self._silent_ends == 0:
            self.proven_version = relay.version
        elif trouble is not None and trouble.complaint is None:
            self.proven_version = None
        return trouble

    def _silence(self, relay: Relay, judged: Sequence[Judged]) -> Trouble | None:
        """No answer after the dot proves nothing; again and again it is the relay's trouble."""
        if not all(isinstance(each.outcome, Unknown) for each in judged):
            self._silent_ends = 0
            return None
        self._silent_ends += 1
        return silent(relay) if self._silent_ends >= _SILENT_ENDS else None
