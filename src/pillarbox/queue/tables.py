"""
The queue's rows: what was accepted, one delivery per forward path, one attempt per try.

The message rows are the queue. A delivery is claimable exactly when due_at is set and has
come; it is leased exactly when lease_until is set. Both have a partial index, so neither
search grows with what is finished.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from pillarbox.base.db.schema import Moment, metadata

messages = Table(
    "messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("accepted_at", Moment, nullable=False),
    Column("inlet", String(16), nullable=False),  # http, smtp, cli, python
    Column("principal", String(80), nullable=False),
    Column("stream", String(20), nullable=False),
    Column("relay_id", String(40), nullable=False),
    Column("reverse_path", String(320)),  # NULL is the null path
    Column("from_header", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("message_id_header", Text, nullable=False),
    Column("size", Integer, nullable=False),  # octets of content
    Column("is_eight_bit", Boolean, nullable=False),
    Column("needs_smtputf8", Boolean, nullable=False),
    Column("send_at", Moment),
    Column("expires_at", Moment, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("resent_from", String(40)),  # the message that this one repeats
    Column("tenant", String(40)),  # whose it is; NULL is the system's
)

contents = Table(
    "contents",
    metadata,
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),  # from 0; see contents.py
    Column("octets", LargeBinary, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("relay_id", String(40), nullable=False),
    Column("stand_ins", Text),  # ids of relays, in order, with commas between
    Column("priority", Integer, nullable=False),
    Column("lane", Integer, nullable=False),  # whose turn it is: see lanes.py
    Column("forward_path", String(320), nullable=False),
    Column("state", String(12), nullable=False),
    Column("due_at", Moment),
    Column("expires_at", Moment),  # NULL once final
    Column("attempts", Integer, nullable=False, server_default="0"),  # those that counted
    Column("tries", Integer, nullable=False, server_default="0"),  # all of them
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_until", Moment),
    Column("pointed_at", Moment),  # the point of no return of the present attempt
    Column("in_doubt", Boolean, nullable=False, server_default=text("false")),
    Column("changed_at", Moment, nullable=False),
    Column("answer", Text),  # the last thing that was said about it
    Column("advice", String(80)),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("relay_id", String(40), nullable=False),
    Column("relay_version", Integer, nullable=False),
    Column("session_id", String(40)),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("outcome", String(12), nullable=False),  # relayed, failed, unknown
    Column("stage", String(16)),
    Column("blame", String(16)),
    Column("permanent", Boolean),
    Column("code", Integer),
    Column("enhanced", String(12)),
    Column("answer", Text, nullable=False),
    Column("advice", String(80)),
    Column("transcript", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("relay_id", String(40), nullable=False),
    Column("relay_version", Integer, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("host", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("tls", JSON),
    Column("mechanism", String(20)),
    Column("transcript", Text, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", String(80), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("message_id", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
)

_due = deliveries.c.due_at.is_not(None)
_leased = deliveries.c.lease_until.is_not(None)
_expiring = deliveries.c.expires_at.is_not(None)
_resent = messages.c.resent_from.is_not(None)
_of_tenant = messages.c.tenant.is_not(None)

Index(
    "deliveries_due",
    deliveries.c.relay_id,
    deliveries.c.priority,
    deliveries.c.lane,
    deliveries.c.due_at,
    sqlite_where=_due,
    postgresql_where=_due,
)
_has_stand_ins = _due & deliveries.c.stand_ins.is_not(None)
Index(
    "deliveries_due_with_stand_ins",
    deliveries.c.relay_id,
    deliveries.c.stand_ins,
    deliveries.c.priority,
    deliveries.c.lane,
    deliveries.c.due_at,
    sqlite_where=_has_stand_ins,
    postgresql_where=_has_stand_ins,
)
Index(
    "deliveries_leased",
    deliveries.c.lease_until,
    sqlite_where=_leased,
    postgresql_where=_leased,
)
Index(
    "deliveries_expiring",
    deliveries.c.expires_at,
    sqlite_where=_expiring,
    postgresql_where=_expiring,
)
Index("deliveries_by_message", deliveries.c.message_id)
Index("deliveries_by_state", deliveries.c.state, deliveries.c.id)
Index("attempts_by_delivery", attempts.c.delivery_id)
Index("sessions_by_opened_at", sessions.c.opened_at)
Index("idempotency_keys_by_created_at", idempotency_keys.c.created_at)
Index("messages_by_accepted_at", messages.c.accepted_at)
Index(
    "messages_by_resent_from",
    messages.c.resent_from,
    sqlite_where=_resent,
    postgresql_where=_resent,
)
Index(
    "messages_by_tenant",
    messages.c.tenant,
    messages.c.id,
    sqlite_where=_of_tenant,
    postgresql_where=_of_tenant,
)
