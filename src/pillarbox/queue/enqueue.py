"""Store accepted messages: everything of each, in one commit, or nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from pillarbox.base.db.rows import Rows, as_json, microseconds
from pillarbox.base.errors import Mismatch
from pillarbox.journal import journal
from pillarbox.journal.events import Event, MessageAccepted, MessageResent
from pillarbox.queue import contents
from pillarbox.queue.lanes import lane_of
from pillarbox.queue.message import Idempotency, Parcel, Receipt
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.tables import deliveries, idempotency_keys, messages

Known = dict[tuple[str, str], tuple[str, str]]
"""(scope, key) → (fingerprint, message id)."""


_MESSAGES = Rows(
    messages,
    "id",
    "accepted_at",
    "inlet",
    "principal",
    "stream",
    "relay_id",
    "reverse_path",
    "from_header",
    "subject",
    "message_id_header",
    "size",
    "is_eight_bit",
    "needs_smtputf8",
    "send_at",
    "expires_at",
    "tags",
    "metadata",
    "resent_from",
    "tenant",
)
_DELIVERIES = Rows(
    deliveries,
    "id",
    "message_id",
    "relay_id",
    "stand_ins",
    "priority",
    "lane",
    "forward_path",
    "state",
    "due_at",
    "expires_at",
    "tries",
    "fence",
    "lease_until",
    "changed_at",
)
_KEYS = Rows(idempotency_keys, "scope", "key", "fingerprint", "message_id", "created_at")


def enqueue(connection: Connection, parcels: Sequence[Parcel]) -> list[Receipt]:
    """
    One receipt a parcel, in order.

    A repeat of an idempotency key returns the first message's receipt and stores nothing.
    Raises Mismatch when the key came with another request before.
    """
    return enqueue_leased(connection, [(parcel, None) for parcel in parcels])


def enqueue_leased(
    connection: Connection, leased: Sequence[tuple[Parcel, datetime | None]]
) -> list[Receipt]:
    """The same. What has a time is stored as claimed by somebody, whose lease ends then."""
    known = _known_keys(connection, [parcel for parcel, _ in leased])
    receipts: list[Receipt] = []
    fresh: list[tuple[Parcel, datetime | None]] = []
    for parcel, lease_until in leased:
        receipt = _replay(parcel.idempotency, known)
        if receipt is None:
            receipt = Receipt(parcel.id, parcel)
            fresh.append((parcel, lease_until))
            if parcel.idempotency is not None:
                slot = (parcel.idempotency.scope, parcel.idempotency.key)
                known[slot] = (parcel.idempotency.fingerprint, parcel.id)
        receipts.append(receipt)
    _store(connection, fresh)
    return receipts


def find_key(connection: Connection, scope: str, key: str, fingerprint: str) -> Receipt | None:
    """The receipt that this key was given before, or None. Raises Mismatch."""
    known = _find(connection, [(scope, key)])
    return _replay(Idempotency(scope, key, fingerprint), known)


def _known_keys(connection: Connection, parcels: Sequence[Parcel]) -> Known:
    slots = [
        (parcel.idempotency.scope, parcel.idempotency.key)
        for parcel in parcels
        if parcel.idempotency is not None
    ]
    return _find(connection, slots) if slots else {}


def _find(connection: Connection, slots: list[tuple[str, str]]) -> Known:
    columns = idempotency_keys.c
    query = select(columns.scope, columns.key, columns.fingerprint, columns.message_id).where(
        tuple_(columns.scope, columns.key).in_(slots)
    )
    return {
        (scope, key): (fingerprint, message_id)
        for scope, key, fingerprint, message_id in connection.execute(query)
    }


def _replay(idempotency: Idempotency | None, known: Known) -> Receipt | None:
    if idempotency is None or (idempotency.scope, idempotency.key) not in known:
        return None
    fingerprint, message_id = known[idempotency.scope, idempotency.key]
    if fingerprint != idempotency.fingerprint:
        raise Mismatch(
            "this idempotency key was used for another request; nothing was stored; "
            "use a new key for a new message",
            field="Idempotency-Key",
        )
    return Receipt(message_id)


def _store(connection: Connection, leased: Sequence[tuple[Parcel, datetime | None]]) -> None:
    if not leased:
        return
    parcels = [parcel for parcel, _ in leased]
    _MESSAGES.store(connection, [_message_row(parcel) for parcel in parcels])
    contents.store(connection, [(parcel.id, parcel.content.octets) for parcel in parcels])
    _DELIVERIES.store(connection, [row for each in leased for row in _delivery_rows(*each)])
    _KEYS.store(connection, [_key_row(each) for each in parcels if each.idempotency is not None])
    told: list[tuple[datetime, Event]] = [(each.accepted_at, _accepted(each)) for each in parcels]
    told += [(each.accepted_at, _resent(each)) for each in parcels if each.resent_from is not None]
    journal.write(connection, told)


def _accepted(parcel: Parcel) -> MessageAccepted:
    return MessageAccepted(
        message_id=parcel.id,
        relay_id=parcel.relay_id,
        principal=parcel.principal,
        deliveries=len(parcel.delivery_ids),
    )


def _resent(parcel: Parcel) -> MessageResent:
    """For the timeline of the message that is repeated."""
    return MessageResent(
        message_id=parcel.resent_from,
        relay_id=parcel.relay_id,
        principal=parcel.principal,
        resent_as=parcel.id,
    )


def _message_row(parcel: Parcel) -> tuple[Any, ...]:
    """For _MESSAGES."""
    reverse_path = parcel.envelope.reverse_path
    content = parcel.content
    return (
        parcel.id,
        microseconds(parcel.accepted_at),
        parcel.inlet,
        parcel.principal,
        parcel.stream.name,
        parcel.relay_id,
        None if reverse_path is None else str(reverse_path),
        parcel.from_header,
        parcel.subject,
        parcel.message_id_header,
        content.size,
        content.is_eight_bit,
        content.needs_smtputf8,
        microseconds(parcel.send_at),
        microseconds(parcel.expires_at),
        as_json(parcel.tags) if parcel.tags else "[]",
        as_json(parcel.metadata) if parcel.metadata else "{}",
        parcel.resent_from,
        parcel.tenant,
    )


def _delivery_rows(parcel: Parcel, lease_until: datetime | None) -> Iterator[tuple[Any, ...]]:
    """For _DELIVERIES: as it waits, or as a claim leaves it."""
    state, priority = parcel.first_state.value, parcel.stream.priority
    lane = lane_of(parcel.tenant or parcel.principal)
    accepted_at, expires_at = microseconds(parcel.accepted_at), microseconds(parcel.expires_at)
    due_at = microseconds(parcel.send_at) if parcel.is_scheduled else accepted_at
    fence, leased_until = 0, microseconds(lease_until)
    if lease_until is not None:
        state, due_at, fence = DeliveryState.SENDING.value, None, 1
    paths = zip(parcel.delivery_ids, parcel.envelope.forward_paths, strict=True)
    for number, (delivery_id, forward_path) in enumerate(paths):
        place = parcel.destinations[number] if parcel.destinations else None
        yield (
            delivery_id,
            parcel.id,
            place.relay_id if place else parcel.relay_id,
            place.stand_ins if place else None,
            priority,
            lane,
            str(forward_path),
            state,
            due_at,
            expires_at,
            fence,  # tries are as many
            fence,
            leased_until,
            accepted_at,
        )


def _key_row(parcel: Parcel) -> tuple[Any, ...]:
    """For _KEYS."""
    key = parcel.idempotency
    assert key is not None
    return key.scope, key.key, key.fingerprint, parcel.id, microseconds(parcel.accepted_at)
