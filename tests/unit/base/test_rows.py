"""Rows that are handed to the driver as they are, on whatever driver a connection has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    select,
)

from pillarbox.base.db.rows import Rows, as_json, microseconds
from pillarbox.base.db.schema import Moment

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("paramstyle", ["qmark", "named", "numeric"])
def test_rows_are_read_back_as_the_types_of_their_columns_say(paramstyle: str) -> None:
    """psycopg names its parameters, asyncpg numbers them; the same rows serve both."""
    things = Table(
        "things",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("name", String, nullable=False),
        Column("at", Moment),
        Column("is_large", Boolean, nullable=False),
        Column("facts", JSON, nullable=False),
        Column("tries", Integer, nullable=False, server_default="7"),
    )
    adding = Rows(things, "name", "at", "is_large", "facts")
    for style in {"qmark", paramstyle}:
        engine = create_engine("sqlite://", paramstyle=style)
        with engine.begin() as connection:
            things.create(connection)
            adding.store(connection, [])
            adding.store(
                connection,
                [
                    ("a", microseconds(NOW), True, as_json({"x": ["ä", 1, None]})),
                    ("b", microseconds(None), False, as_json("“half")),
                ],
            )
            found = [tuple(row) for row in connection.execute(select(things))]
        assert found == [
            (1, "a", NOW, True, {"x": ["ä", 1, None]}, 7),
            (2, "b", None, False, "“half", 7),
        ]


def test_names_stand_in_the_order_of_the_table() -> None:
    """Otherwise values would come into the wrong columns."""
    things = Table("things", MetaData(), Column("a", String), Column("b", String))
    with create_engine("sqlite://").begin() as connection, pytest.raises(AssertionError):
        Rows(things, "b", "a").store(connection, [("1", "2")])
