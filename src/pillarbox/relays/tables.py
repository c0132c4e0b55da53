"""Relays as rows: what each is now, every version it had, and whether it rests."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Integer, String, Table, Text, text

from pillarbox.base.db.schema import Moment, metadata

MAX_NAME = 100  # characters

relays = Table(
    "relays",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(MAX_NAME), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Moment, nullable=False),
    Column("checked_at", Moment),  # the last diagnosis, of checked_version
    Column("checked_version", Integer),
    Column("checked_well", Boolean),
)

relay_versions = Table(
    "relay_versions",
    metadata,
    Column("relay_id", ForeignKey("relays.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("name", String(MAX_NAME), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("secrets", JSON, nullable=False),  # slot → {"sealed": base64, "updated_at": RFC 3339}
    Column("secret_changes", JSON, nullable=False),  # slot → given, removed or dropped
    Column("changed_at", Moment, nullable=False),
    Column("principal", String(80), nullable=False),
    Column("undoes", Integer),  # the version that this one took back
    Column("inherits", String(40)),  # a relay
    Column("own", JSON, nullable=False),  # names of fields that are not inherited
)

relay_rests = Table(
    "relay_rests",
    metadata,
    Column("relay_id", ForeignKey("relays.id", ondelete="CASCADE"), primary_key=True),
    Column("since", Moment, nullable=False),  # the first failure in a row
    Column("begun_at", Moment, nullable=False),  # the last one
    Column("until", Moment, nullable=False),  # one probe may go then
    Column("failures", Integer, nullable=False),
    Column("needs_person", Boolean, nullable=False),
    Column("cause", Text, nullable=False),
    Column("advice", String(80), nullable=False),
)

routes = Table(
    "routes",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("rules", JSON, nullable=False),  # [{"when": {…}, "relays": [relay id, …]}, …]
    Column("changed_at", Moment, nullable=False),
    Column("principal", String(80), nullable=False),
)

relay_slowdowns = Table(
    "relay_slowdowns",
    metadata,
    Column("relay_id", ForeignKey("relays.id", ondelete="CASCADE"), primary_key=True),
    Column("since", Moment, nullable=False),
    Column("at", Moment, nullable=False),  # the last complaint that counted
    Column("connections", Integer, nullable=False),  # then; more come back with time
    Column("cause", Text, nullable=False),
    Column("advice", String(80), nullable=False),
)

relay_shares = Table(
    "relay_shares",
    metadata,
    Column("relay_id", ForeignKey("relays.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", String(40), primary_key=True),  # a process
    Column("wanted", Integer, nullable=False),
    Column("sessions", Integer, nullable=False),  # that it has or may have open
    Column("is_proven", Boolean, nullable=False),
    Column("until", Moment, nullable=False),
)

relay_permits = Table(
    "relay_permits",
    metadata,
    Column("relay_id", ForeignKey("relays.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Moment, primary_key=True, autoincrement=False),  # when a span of seconds began
    Column("messages", Integer, nullable=False),  # that were allowed to begin in it
)
