"""The first shape of the tables of keys and tenants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def create() -> None:
    """Make them; called by the first migration."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("tenant", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name="api_keys_key"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("system_relays", sa.String(length=10), nullable=False),
        sa.Column("senders", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="tenants_key"),
        sa.UniqueConstraint("name", name="tenants_one_name"),
    )
