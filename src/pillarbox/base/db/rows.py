"""
Rows as the driver takes them: tuples whose values need no second look.

Preparing a row by its columns' types costs more than storing it. What is written for every
message is therefore handed over as the database keeps it: times by `microseconds`, JSON by
`as_json`, everything else as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert
from sqlalchemy.sql.compiler import SQLCompiler

from pillarbox.base.db.direct import sqlite_of
from pillarbox.base.db.schema import EPOCH, MICROSECOND


class Rows:
    """An INSERT of whole rows into the named columns of a table, written once for each driver."""

    def __init__(self, table: Table, *names: str) -> None:
        self._table = table
        self._names = names
        self._by_dialect: dict[tuple[str, str], str] = {}

    def store(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Each row has a value for each name, in their order."""
        if not rows:
            return
        dialect = connection.dialect
        sql = self._by_dialect.get((dialect.name, dialect.paramstyle)) or self._compile(dialect)
        driver = sqlite_of(connection)
        if driver is not None and dialect.paramstyle == "qmark":
            driver.executemany(sql, rows)
        elif dialect.positional:
            connection.exec_driver_sql(sql, rows)
        else:  # an application's own driver, such as psycopg
            named = [dict(zip(self._names, row, strict=True)) for row in rows]
            connection.exec_driver_sql(sql, named)

    def _compile(self, dialect: Dialect) -> str:
        compiled = insert(self._table).compile(dialect=dialect, column_keys=list(self._names))
        assert isinstance(compiled, SQLCompiler)
        if dialect.positional:
            assert tuple(compiled.positiontup or ()) == self._names, "not in the table's order"
        sql = self._by_dialect[dialect.name, dialect.paramstyle] = str(compiled)
        return sql


def microseconds(at: datetime | None) -> int | None:
    """A moment as the column type Moment keeps it."""
    return None if at is None else (at - EPOCH) // MICROSECOND


def as_json(value: Any) -> str:
    """JSON as the column type keeps it. Texts and numbers, which are most of it, are quick."""
    if type(value) is str:
        return quoted(value)
    if type(value) is int:
        return str(value)
    return json.dumps(value)
