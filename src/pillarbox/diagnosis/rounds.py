"""
Relays tried while nobody looks: whether each would still let us in, before mail needs it.

Only what has been tried once by a person, and has carried nothing for a while; mail says more
than a test. A relay that rests is probed by delivery, not here. Each is asked up to sign-in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pillarbox.base import log
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import NotFound, Unavailable
from pillarbox.base.ids import chance
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.diagnosis.findings import Report
from pillarbox.queue import recent
from pillarbox.relays.registry import Registry
from pillarbox.relays.relay import RelayKind
from pillarbox.relays.versions import Relay

_LOOK_SECONDS = 60.0
_SPREAD = 0.2  # share by which a wait grows or shrinks, so that relays are not tried together
_LONGEST = timedelta(days=1)  # between tries of a relay that does not work

_log = log.logger("rounds")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long after it was tried a relay is tried again, and the chance that spreads it."""

    every: timedelta
    draw: Callable[[], float] = chance


class Rounds:
    """
    One in each process; who tries a relay first spares the others the work.

    There is no claim in the database: two that look in the same seconds both sign in, once each.
    That harms nobody, each draws its own moment, and a claim would be one more lease to lose.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        diagnosis: Diagnosis,
        clock: Clock,
        rhythm: Rhythm,
    ) -> None:
        self._database = database
        self._clock = clock
        self._registry = registry
        self._diagnosis = diagnosis
        self._every = rhythm.every
        self._draw = rhythm.draw
        self._failures: dict[str, int] = {}
        self._due: dict[tuple[str, datetime], datetime] = {}

    async def run(self) -> None:
        """Until cancelled. Never, when the interval is nothing."""
        while self._every:
            await self._clock.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except Unavailable as error:
                _log.warning("relays are tried later", cause=str(error))
            except Exception as error:  # noqa: BLE001  a loop that must not end: it logs
                _log.error("trying relays failed; once more later", exc_info=error)

    async def look(self) -> None:
        """Try each relay whose time has come, one after the other."""
        now = self._clock.now()
        since = now - self._every
        in_use = await self._database.read(lambda each: recent.relays_in_use(each, since))
        for listed in self._registry.all():
            relay = self._as_it_is_now(listed)
            if relay is not None and relay.id not in in_use and self._is_due(relay, now):
                await self._try_alone(relay)

    async def _try_alone(self, relay: Relay) -> None:
        """What goes wrong with one relay keeps no other from being tried."""
        try:
            await self._try(relay)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  a loop that must not end: it logs
            _log.error("trying a relay failed", relay=relay.name, exc_info=error)

    def _as_it_is_now(self, listed: Relay) -> Relay | None:
        """Another process may have tried it while we tried the ones before."""
        try:
            return self._registry.get(listed.id)
        except NotFound:
            return None

    def _is_due(self, relay: Relay, now: datetime) -> bool:
        if relay.settings.kind is not RelayKind.SMTP or relay.rest or relay.checked_at is None:
            return False
        mark = (relay.id, relay.checked_at)
        if mark not in self._due:
            self._due = {key: due for key, due in self._due.items() if key[0] != relay.id}
            self._due[mark] = relay.checked_at + self._wait(relay)
        return now >= self._due[mark]

    def _wait(self, relay: Relay) -> timedelta:
        """Longer and longer while it does not work."""
        tries = self._failures.get(relay.id, 0) if relay.checked_well is False else 0
        factor: int = 2**tries
        wait = min(self._every * factor, max(_LONGEST, self._every))
        return wait * (1 + _SPREAD * (2 * self._draw() - 1))

    async def _try(self, relay: Relay) -> None:
        report = await self._diagnosis.of_sign_in(relay)
        try:
            if self._registry.get(relay.id).version != relay.version:
                return  # somebody changed it meanwhile, and will try it
            await self._registry.note_check(relay, is_well=report.is_well, failure=_words(report))
        except NotFound:
            return
        failures = self._failures.pop(relay.id, 0)
        if not report.is_well:
            self._failures[relay.id] = failures + 1
        if report.is_well is not relay.checked_well:
            _tell(relay, report)


def _tell(relay: Relay, report: Report) -> None:
    """One line when something changed; nothing while it stays."""
    if report.is_well:
        _log.info("a relay works again", relay=relay.name)
    else:
        cause, advice = _words(report) or ("", None)
        _log.warning("a relay no longer lets us in", relay=relay.name, cause=cause, advice=advice)


def _words(report: Report) -> tuple[str, str | None] | None:
    """Why it failed, and the id of the advice."""
    broken = report.failure
    return (broken.cause or broken.evidence, broken.advice_id) if broken else None
