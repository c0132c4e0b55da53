"""Store accepted messages: everything of each, in one commit, or nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, tuple_

from pillarbox.base.db.prepared import Prepared
from pillarbox.base.errors import Mismatch
from pillarbox.journal import journal
from pillarbox.journal.events import Event, MessageAccepted, MessageResent
from pillarbox.queue.message import Idempotency, Parcel, Receipt, as_stored
from pillarbox.queue.tables import contents, deliveries, idempotency_keys, messages

Known = dict[tuple[str, str], tuple[str, str]]
"""(scope, key) → (fingerprint, message id)."""


_MESSAGES = Prepared(insert(messages))
_CONTENTS = Prepared(insert(contents))
_DELIVERIES = Prepared(insert(deliveries))
_KEYS = Prepared(insert(idempotency_keys))


def enqueue(connection: Connection, parcels: Sequence[Parcel]) -> list[Receipt]:
    """
    One receipt a parcel, in order.

    A repeat of an idempotency key returns the first message's receipt and stores nothing.
    Raises Mismatch when the key came with another request before.
    """
    known = _known_keys(connection, parcels)
    receipts, fresh = [], []
    for parcel in parcels:
        receipt = _replay(parcel.idempotency, known)
        if receipt is None:
            receipt = Receipt(parcel.id, message=as_stored(parcel))
            fresh.append(parcel)
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
    return Receipt(message_id, replayed=True)


def _store(connection: Connection, parcels: Sequence[Parcel]) -> None:
    if not parcels:
        return
    _MESSAGES.run(connection, [_message_row(parcel) for parcel in parcels])
    octets = [{"message_id": parcel.id, "octets": parcel.content.octets} for parcel in parcels]
    _CONTENTS.run(connection, octets)
    _DELIVERIES.run(connection, [row for parcel in parcels for row in _delivery_rows(parcel)])
    _KEYS.run(connection, [_key_row(each) for each in parcels if each.idempotency is not None])
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


def _message_row(parcel: Parcel) -> dict[str, Any]:
    reverse_path = parcel.envelope.reverse_path
    return {
        "id": parcel.id,
        "accepted_at": parcel.accepted_at,
        "inlet": parcel.inlet,
        "principal": parcel.principal,
        "stream": parcel.stream.name,
        "relay_id": parcel.relay_id,
        "reverse_path": None if reverse_path is None else str(reverse_path),
        "from_header": parcel.from_header,
        "subject": parcel.subject,
        "message_id_header": parcel.message_id_header,
        "size": parcel.content.size,
        "is_eight_bit": parcel.content.is_eight_bit,
        "needs_smtputf8": parcel.content.needs_smtputf8,
        "send_at": parcel.send_at,
        "expires_at": parcel.expires_at,
        "tags": list(parcel.tags),
        "metadata": parcel.metadata,
        "resent_from": parcel.resent_from,
    }


def _delivery_rows(parcel: Parcel) -> Iterator[dict[str, Any]]:
    paths = zip(parcel.delivery_ids, parcel.envelope.forward_paths, strict=True)
    for number, (delivery_id, forward_path) in enumerate(paths):
        destination = parcel.destination(number)
        yield {
            "id": delivery_id,
            "message_id": parcel.id,
            "relay_id": destination.relay_id,
            "stand_ins": destination.stand_ins,
            "priority": parcel.stream.priority,
            "forward_path": str(forward_path),
            "state": parcel.first_state.value,
            "due_at": parcel.first_due_at,
            "expires_at": parcel.expires_at,
            "changed_at": parcel.accepted_at,
        }


def _key_row(parcel: Parcel) -> dict[str, Any]:
    assert parcel.idempotency is not None
    return {
        "scope": parcel.idempotency.scope,
        "key": parcel.idempotency.key,
        "fingerprint": parcel.idempotency.fingerprint,
        "message_id": parcel.id,
        "created_at": parcel.accepted_at,
    }
