"""Statements for many rows run on whatever driver an application's connection has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import JSON, Column, Integer, MetaData, String, Table, create_engine, insert, select

from pillarbox.base.db.prepared import Prepared
from pillarbox.base.db.schema import Moment

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("paramstyle", ["qmark", "named", "numeric"])
def test_rows_are_stored_whatever_the_style_of_parameters(paramstyle: str) -> None:
    """psycopg names its parameters, asyncpg numbers them; the same statement serves both."""
    things = Table(
        "things",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("name", String, nullable=False),
        Column("at", Moment),
        Column("facts", JSON, nullable=False),
        Column("tries", Integer, nullable=False, server_default="7"),
    )
    adding = Prepared(insert(things))
    for style in ("qmark", paramstyle):
        engine = create_engine("sqlite://", paramstyle=style)
        with engine.begin() as connection:
            things.create(connection)
            adding.run(
                connection,
                [
                    {"name": "a", "at": NOW, "facts": {"x": 1}},
                    {"name": "b", "at": None, "facts": {}},
                ],
            )
            found = [tuple(row) for row in connection.execute(select(things))]
        assert found == [(1, "a", NOW, {"x": 1}, 7), (2, "b", None, {}, 7)]
