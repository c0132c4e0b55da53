"""The first shape of the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pillarbox.base.db.migrations import access

revision = "0001"
down_revision = None


def upgrade() -> None:
    _queue()
    _journal()
    _relays()
    access.create()
    _oauth()
    _senders()


def _queue() -> None:
    _messages()
    _deliveries()
    _attempts()


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("inlet", sa.String(length=16), nullable=False),
        sa.Column("principal", sa.String(length=80), nullable=False),
        sa.Column("stream", sa.String(length=20), nullable=False),
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("reverse_path", sa.String(length=320), nullable=True),
        sa.Column("from_header", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message_id_header", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("is_eight_bit", sa.Boolean(), nullable=False),
        sa.Column("needs_smtputf8", sa.Boolean(), nullable=False),
        sa.Column("send_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("resent_from", sa.String(length=40), nullable=True),
        sa.Column("tenant", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name="messages_key"),
    )
    op.create_index("messages_by_accepted_at", "messages", ["accepted_at"], unique=False)
    op.create_index(
        "messages_by_resent_from",
        "messages",
        ["resent_from"],
        unique=False,
        sqlite_where=sa.text("resent_from IS NOT NULL"),
        postgresql_where=sa.text("resent_from IS NOT NULL"),
    )
    op.create_index(
        "messages_by_tenant",
        "messages",
        ["tenant", "id"],
        unique=False,
        sqlite_where=sa.text("tenant IS NOT NULL"),
        postgresql_where=sa.text("tenant IS NOT NULL"),
    )
    op.create_table(
        "contents",
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="contents_of_messages", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", "part", name="contents_key"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name="idempotency_keys_key"),
    )
    op.create_index(
        "idempotency_keys_by_created_at", "idempotency_keys", ["created_at"], unique=False
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("stand_ins", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("forward_path", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("pointed_at", sa.BigInteger(), nullable=True),
        sa.Column("in_doubt", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("advice", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="deliveries_of_messages", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="deliveries_key"),
    )
    op.create_index("deliveries_by_message", "deliveries", ["message_id"], unique=False)
    op.create_index("deliveries_by_state", "deliveries", ["state", "id"], unique=False)
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["relay_id", "priority", "lane", "due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "deliveries_due_with_stand_ins",
        "deliveries",
        ["relay_id", "stand_ins", "priority", "lane", "due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL AND stand_ins IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL AND stand_ins IS NOT NULL"),
    )
    op.create_index(
        "deliveries_expiring",
        "deliveries",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "deliveries_leased",
        "deliveries",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("lease_until IS NOT NULL"),
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("relay_version", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=True),
        sa.Column("blame", sa.String(length=16), nullable=True),
        sa.Column("permanent", sa.Boolean(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("enhanced", sa.String(length=12), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("advice", sa.String(length=80), nullable=True),
        sa.Column("transcript", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name="attempts_of_deliveries", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="attempts_key"),
    )
    op.create_index("attempts_by_delivery", "attempts", ["delivery_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("relay_version", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("tls", sa.JSON(), nullable=True),
        sa.Column("mechanism", sa.String(length=20), nullable=True),
        sa.Column("transcript", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="sessions_key"),
    )
    op.create_index("sessions_by_opened_at", "sessions", ["opened_at"], unique=False)


def _journal() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=True),
        sa.Column("delivery_id", sa.String(length=40), nullable=True),
        sa.Column("relay_id", sa.String(length=40), nullable=True),
        sa.Column("principal", sa.String(length=80), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="events_key"),
    )
    op.create_index("events_by_at", "events", ["at"], unique=False)
    op.create_index(
        "events_by_message",
        "events",
        ["message_id"],
        unique=False,
        sqlite_where=sa.text("message_id IS NOT NULL"),
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )


def _relays() -> None:
    op.create_table(
        "relays",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_version", sa.Integer(), nullable=True),
        sa.Column("checked_well", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="relays_key"),
        sa.UniqueConstraint("name", name="relays_one_name"),
    )
    op.create_table(
        "relay_versions",
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("secret_changes", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.String(length=80), nullable=False),
        sa.Column("undoes", sa.Integer(), nullable=True),
        sa.Column("inherits", sa.String(length=40), nullable=True),
        sa.Column("own", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["relay_id"], ["relays.id"], name="relay_versions_of_relays", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("relay_id", "version", name="relay_versions_key"),
    )
    op.create_table(
        "relay_rests",
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("needs_person", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("advice", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["relay_id"], ["relays.id"], name="relay_rests_of_relays", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("relay_id", name="relay_rests_key"),
    )
    _pace()


def _pace() -> None:
    op.create_table(
        "relay_slowdowns",
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("advice", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["relay_id"], ["relays.id"], name="relay_slowdowns_of_relays", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("relay_id", name="relay_slowdowns_key"),
    )
    op.create_table(
        "routes",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("version", name="routes_key"),
    )
    op.create_table(
        "relay_shares",
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("is_proven", sa.Boolean(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["relay_id"], ["relays.id"], name="relay_shares_of_relays", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("relay_id", "holder", name="relay_shares_key"),
    )
    op.create_table(
        "relay_permits",
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["relay_id"], ["relays.id"], name="relay_permits_of_relays", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("relay_id", "at", name="relay_permits_key"),
    )


def _senders() -> None:
    op.create_table(
        "sender_domains",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="sender_domains_key"),
        sa.UniqueConstraint("domain", name="sender_domains_one_domain"),
    )
    op.create_table(
        "sender_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("domain_id", sa.String(length=40), nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["sender_domains.id"], name="sender_keys_of_sender_domains"
        ),
        sa.PrimaryKeyConstraint("id", name="sender_keys_key"),
        sa.UniqueConstraint("domain_id", "selector", name="sender_keys_one_domain_id_selector"),
    )


def _oauth() -> None:
    op.create_table(
        "oauth_grants",
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("bound_to", sa.String(length=64), nullable=False),
        sa.Column("refresh_token", sa.LargeBinary(), nullable=True),
        sa.Column("access_token", sa.LargeBinary(), nullable=True),
        sa.Column("access_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("access_refresh_at", sa.BigInteger(), nullable=True),
        sa.Column("refresh_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("refreshed_at", sa.BigInteger(), nullable=True),
        sa.Column("connected_at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.String(length=80), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("refusal", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("is_broken", sa.Boolean(), nullable=False),
        sa.Column("warned_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_holder", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("relay_id", name="oauth_grants_key"),
    )
    op.create_table(
        "oauth_consents",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("relay_id", sa.String(length=40), nullable=False),
        sa.Column("bound_to", sa.String(length=64), nullable=False),
        sa.Column("principal", sa.String(length=80), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=True),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("user_code", sa.Text(), nullable=True),
        sa.Column("verification_uri", sa.Text(), nullable=True),
        sa.Column("interval_seconds", sa.Integer(), nullable=True),
        sa.Column("ask_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name="oauth_consents_key"),
        sa.UniqueConstraint("relay_id", name="oauth_consents_one_relay_id"),
    )
