"""
Statements that run for every message, straight through the driver.

SQLAlchemy's way there costs more than the statement. What it says is still written in Core;
values go in and come out as the database keeps them: times as microseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, Dialect, Select, bindparam
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningUpdate

Items = Sequence[BindParameter[Any]]
Statement = Select[Any] | ReturningUpdate[Any]


class _Compiled(NamedTuple):
    sql: str
    order: tuple[tuple[str, int], ...]  # which value, and which item when it is a list
    constants: dict[str, Any]  # what the statement says itself, as parameters


class Direct:
    """
    A SELECT, or an UPDATE that returns, with named parameters, of which one may be a list.

    build is given the items of the list, as parameters, and makes the statement with them.
    """

    def __init__(self, build: Callable[[Items], Statement], *, listed: str | None = None) -> None:
        self._build = build
        self._listed = listed
        self._compiled: dict[tuple[str, int], _Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """What it finds or returns. An item that is in the list twice counts once."""
        size = _padded(len(values[self._listed])) if self._listed else 0
        compiled = self._compiled.get((connection.dialect.name, size))
        if compiled is None:
            compiled = self._compile(connection.dialect, size)
        values = compiled.constants | dict(values)
        given = tuple(self._value(values, *each) for each in compiled.order)
        driver = sqlite_of(connection)
        if driver is not None:
            return driver.execute(compiled.sql, given).fetchall()
        return connection.exec_driver_sql(compiled.sql, given).all()

    def _value(self, values: Mapping[str, Any], name: str, place: int) -> Any:
        if name != self._listed:
            return values[name]
        items = values[name]
        return items[min(place, len(items) - 1)]

    def _compile(self, dialect: Dialect, size: int) -> _Compiled:
        """Lists are filled up to a power of two, so that there are few texts to prepare."""
        items: Items = [bindparam(f"{self._listed}_{place}") for place in range(size)]
        compiled = self._build(items).compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        order = tuple(map(self._slot, compiled.positiontup or ()))
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        made = _Compiled(str(compiled), order, constants)
        self._compiled[dialect.name, size] = made
        return made

    def _slot(self, name: str) -> tuple[str, int]:
        stem, _, number = name.rpartition("_")
        if stem and stem == self._listed:
            return stem, int(number)
        return name, 0


def sqlite_of(connection: Connection) -> sqlite3.Connection | None:
    """The driver's own connection when it is SQLite's, in the transaction that is open."""
    own = connection.connection.dbapi_connection
    return own if isinstance(own, sqlite3.Connection) else None


def _padded(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()
