"""The bodies of requests about a message that is stored: another send_at, a resend."""

from __future__ import annotations

from datetime import datetime

from pillarbox.accept.resend import Resend
from pillarbox.access.principal import Principal
from pillarbox.base.errors import Invalid, Rejected
from pillarbox.inlets.http.body import Parsed
from pillarbox.inlets.http.reading.fields import Field, object_of, read_fields
from pillarbox.inlets.http.reading.message import (
    MOMENT,
    fingerprint,
    mailboxes,
    read_key,
    read_time,
)
from pillarbox.queue.message import Idempotency

_RESCHEDULE = {
    "send_at": Field(read=read_time, schema=MOMENT, about="Not before this moment; null is now.")
}
_RESEND = {"to": mailboxes("For these of its recipients; left out: for all of them.")}
RESCHEDULE_SCHEMA = object_of(_RESCHEDULE)
RESEND_SCHEMA = object_of(_RESEND)


def read_send_at(parsed: Parsed) -> datetime | None:
    """Raises Rejected; a body that does not speak of send_at is a mistake, too."""
    found = read_fields(parsed.fields, _RESCHEDULE)
    faults = [*parsed.faults, *found.faults]
    if "send_at" not in parsed.fields and not faults:
        faults.append(Invalid("this is missing; null sends it now", field="send_at"))
    if faults:
        raise Rejected(faults)
    moment: datetime | None = found.values.get("send_at")
    return moment


def read_resend(
    parsed: Parsed, message_id: str, principal: Principal, idempotency_key: str | None
) -> Resend:
    """Never raises for a field: faults travel in the wish, for accept to tell of."""
    found = read_fields(parsed.fields, _RESEND)
    faults = [*parsed.faults, *found.faults]
    idempotency = None
    if idempotency_key is not None:
        try:
            key = read_key(idempotency_key)
            scope = f"{principal} resend {message_id}"[:80]
            idempotency = Idempotency(scope, key, fingerprint(parsed.fields))
        except Invalid as fault:
            faults.append(fault)
    return Resend(
        message_id=message_id,
        principal=principal,
        inlet="http",
        to=tuple(mailbox.address for mailbox in found.values.get("to", ())),
        idempotency=idempotency,
        faults=tuple(faults),
    )
