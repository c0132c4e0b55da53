"""
Statements that run for many rows at once: compiled one time, then handed to the driver.

SQLAlchemy prepares each row of an executemany by itself, which costs more than the row. The
statement is still written once and in Core; only the way of its parameters is shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Dialect, Insert, Table, Update
from sqlalchemy.sql.compiler import SQLCompiler

_Process = Callable[[Any], Any] | None


class _Compiled(NamedTuple):
    sql: str
    parameters: tuple[tuple[str, _Process], ...]


class Prepared:
    """An INSERT of whole rows, or an UPDATE with bind parameters."""

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._by_dialect: dict[tuple[str, str], _Compiled] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Once for each row. A row names every parameter; for an INSERT that is every column,
        and one that is left out is NULL.
        """
        if not rows:
            return
        dialect = connection.dialect
        if not dialect.positional:  # an application's own driver, such as psycopg
            connection.execute(self._statement, [dict(row) for row in rows])
            return
        compiled = self._by_dialect.get((dialect.name, dialect.paramstyle))
        if compiled is None:
            compiled = self._by_dialect[dialect.name, dialect.paramstyle] = _compile(
                self._statement, dialect
            )
        connection.exec_driver_sql(
            compiled.sql,
            [
                tuple(
                    row.get(name) if convert is None else convert(row.get(name))
                    for name, convert in compiled.parameters
                )
                for row in rows
            ],
        )


def _compile(statement: Insert | Update, dialect: Dialect) -> _Compiled:
    keys = None
    if isinstance(statement, Insert):
        assert isinstance(statement.table, Table)
        columns = statement.table.columns
        keys = [column.name for column in columns if not _is_generated(column)]
    compiled = statement.compile(dialect=dialect, column_keys=keys)
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup is not None
    return _Compiled(
        str(compiled),
        tuple(
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup
        ),
    )


def _is_generated(column: Column[Any]) -> bool:
    """A key that the database counts up itself, or a value that it begins with."""
    is_counter = column.table.autoincrement_column is column
    return is_counter or column.server_default is not None
