"""The domains that we sign for, and their keys. A key is sealed for its domain and selector."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table, Text, UniqueConstraint

from pillarbox.base.db.schema import Moment, metadata

MAX_DOMAIN = 253  # characters, RFC 1035 §2.3.4
MAX_SELECTOR = 63

sender_domains = Table(
    "sender_domains",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("domain", String(MAX_DOMAIN), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("domain"),
)

sender_keys = Table(
    "sender_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("domain_id", String(40), ForeignKey("sender_domains.id"), nullable=False),
    Column("selector", String(MAX_SELECTOR), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("state", String(10), nullable=False),
    Column("record", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    UniqueConstraint("domain_id", "selector"),
)
