"""
The one judge of every fault: what was acknowledged, against what the relay took.

It sees only what anybody sees: the ledger of those who handed mail over, the ledger of the
relay, the API, the database file and the log.

    lost            acknowledged, and neither taken by the relay nor said to have failed
    duplicate       taken more than once
    explained       a duplicate whose message says, by itself, that it was uncertain
    a second mail   two messages for one idempotency key
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pillarbox.base.db.upgrade import check_integrity
from support.ledger_relay import Entry, LedgerRelay
from support.program import Program
from support.waiting import until

_RESTLESS = ("queued", "sending")
_ENDED_OTHERWISE = frozenset({"failed", "expired", "cancelled"})


class AcceptedLedger:
    """What clients were told, on stable storage before they do anything else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, key: str, message_id: str) -> None:
        os.write(self._file, json.dumps([key, message_id]).encode() + b"\n")
        os.fsync(self._file)

    def read(self) -> dict[str, set[str]]:
        """For each idempotency key, the ids that were acknowledged for it."""
        ids: defaultdict[str, set[str]] = defaultdict(set)
        for line in self._path.read_bytes().splitlines():
            key, message_id = json.loads(line)
            ids[key].add(message_id)
        return dict(ids)


@dataclass(slots=True)
class Findings:
    """What is true of a run. `wrong` is empty when all invariants hold."""

    accepted: int = 0
    relayed: int = 0
    lost: int = 0
    duplicates: int = 0
    explained: int = 0
    uncertain: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        names = ("accepted", "relayed", "lost", "duplicates", "explained", "uncertain")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        return f"{self.counts}\n" + "\n".join(self.wrong[:20])


def settled(box: Program, key: str, *, seconds: float = 60, doubts: bool = False) -> None:
    """
    Wait until nothing is queued or being sent; with doubts, until nothing is uncertain either.

    Raises TimeoutError.
    """
    states = (*_RESTLESS, "uncertain") if doubts else _RESTLESS

    def is_quiet() -> bool:
        return not any(
            box.ask("GET", f"/v1/messages?state={state}&limit=1", key=key).body["data"]
            for state in states
        )

    until(is_quiet, seconds=seconds, what="the end of the queue")


def check(
    box: Program,
    key: str,
    ledger: AcceptedLedger,
    relay: LedgerRelay,
    *,
    canaries: Iterable[str] = (),
    faults: Callable[[], Iterable[str]] | None = None,
) -> Findings:
    """
    Judge a run whose queue has settled (I1 to I8 of the plan of faults).

    faults says what is wrong with the database; left out, the one in the home is looked at.
    """
    acknowledged = ledger.read()
    messages = {each["id"]: each for each in all_messages(box, key)}
    copies: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in relay.entries():
        copies[_message_of(entry), entry.recipient].append(entry)
    found = Findings(accepted=len(acknowledged))
    _look_at_keys(acknowledged, found)
    _look_for_lost({each for ids in acknowledged.values() for each in ids}, messages, copies, found)
    _look_at_states(messages, copies, found)
    _look_at_copies(box, key, copies, messages, found)
    looked = faults() if faults else check_integrity(box.home / "pillarbox.db")
    found.wrong += [f"I7 {each}" for each in looked]
    _look_for_secrets(box, messages, (key, *canaries), found)
    return found


def all_messages(box: Program, key: str) -> Iterator[dict[str, Any]]:
    """Every message as the API lists it, newest first."""
    after = ""
    while True:
        page = box.ask("GET", f"/v1/messages?limit=100{after}", key=key).body
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&after={page['data'][-1]['id']}"


def _message_of(entry: Entry) -> str:
    return entry.message_id.partition("@")[0].strip("<")


def _look_at_keys(acknowledged: dict[str, set[str]], found: Findings) -> None:
    doubled = {key: ids for key, ids in acknowledged.items() if len(ids) > 1}
    found.wrong += [f"a second mail for {key}: {ids}" for key, ids in doubled.items()]


def _look_for_lost(
    acknowledged: set[str],
    messages: dict[str, Any],
    copies: dict[tuple[str, str], list[Entry]],
    found: Findings,
) -> None:
    """I1 to I3. What still waits, with a reason, is not lost."""
    for message_id in acknowledged:
        if message_id not in messages:
            found.lost += 1
            found.wrong.append(f"I3 {message_id} was acknowledged and is gone")
            continue
        for delivery in messages[message_id]["deliveries"]:
            if delivery["state"] == "relayed" and not copies.get((message_id, delivery["to"])):
                found.lost += 1
                found.wrong.append(f"I2 {message_id} is relayed, and the relay never took it")


def _look_at_states(
    messages: dict[str, Any], copies: dict[tuple[str, str], list[Entry]], found: Findings
) -> None:
    """I1, I6. What the relay took must be ours; what is in no final state must say why."""
    for message_id, _ in copies:
        if message_id not in messages:
            found.wrong.append(f"I6 the relay took {message_id}, which nobody knows")
    for message in messages.values():
        for delivery in message["deliveries"]:
            found.relayed += delivery["state"] == "relayed"
            found.uncertain += delivery["state"] == "uncertain"
            if delivery["state"] in _RESTLESS:
                found.wrong.append(f"I1 {message['id']} is still {delivery['state']}")
            taken = copies.get((message["id"], delivery["to"]))
            if (
                delivery["state"] in _ENDED_OTHERWISE
                and taken
                and not delivery["possible_duplicate"]
            ):
                found.wrong.append(f"I1 {message['id']} is {delivery['state']} but was taken")


def _look_at_copies(
    box: Program,
    key: str,
    copies: dict[tuple[str, str], list[Entry]],
    messages: dict[str, Any],
    found: Findings,
) -> None:
    """I4, I5: a second copy comes only from doubt, and is the same to the octet."""
    for (message_id, recipient), entries in copies.items():
        if len({entry.sha256 for entry in entries}) > 1:
            found.wrong.append(f"I5 the copies of {message_id} differ")
        if len(entries) == 1 or message_id not in messages:
            continue
        found.duplicates += 1
        if _doubts(box, key, message_id, recipient) >= len(entries) - 1:
            found.explained += 1
        else:
            found.wrong.append(f"I4 {message_id} was taken {len(entries)} times without a doubt")


def _doubts(box: Program, key: str, message_id: str, recipient: str) -> int:
    """How often this delivery was said to be uncertain."""
    story = box.ask("GET", f"/v1/messages/{message_id}", key=key).body
    delivery = next(each["id"] for each in story["deliveries"] if each["to"] == recipient)
    names = Counter(each["name"] for each in story["events"] if each["delivery_id"] == delivery)
    return names["delivery.uncertain"]


def _look_for_secrets(
    box: Program, messages: dict[str, Any], canaries: tuple[str, ...], found: Findings
) -> None:
    """I8: in the log, and in what the API says of messages."""
    places = {"the log": box.transcript(), "the API": json.dumps(messages)}
    for place, text in places.items():
        found.wrong += [f"I8 a secret is in {place}" for canary in canaries if canary in text]
