"""
UPDATEs that say of each row whether it was hit: how a lease is used without asking first.

SQLite runs one statement a row, which costs it nothing; PostgreSQL gets all rows in one, so
that a batch is one journey there and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Integer, Update, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from pillarbox.base.db.direct import sqlite_of

Values = Mapping[str, Any]
Row = tuple[Any, ...]


class _Compiled(NamedTuple):
    sql: str
    ordered: Callable[[Row], Row]


class Fenced:
    """
    An UPDATE of one row at a time, on either database.

    build is given where each named value comes from, and makes the statement with it. It says
    constants as literals: every parameter is a named value.
    """

    def __init__(
        self, names: Mapping[str, TypeEngine[Any]], build: Callable[[Values], Update]
    ) -> None:
        self._names = names
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> list[bool]:
        """
        Whether each row was there to be changed. A row has a value for each name, in order and
        as the database keeps it. No two rows are about the same thing.
        """
        if not rows:
            return []
        driver = sqlite_of(connection)
        sql, ordered = self._compiled.get(connection.dialect.name) or self._compile(
            connection.dialect
        )
        if driver is not None:
            return [driver.execute(sql, ordered(row)).rowcount == 1 for row in rows]
        columns = tuple(map(list, zip(*rows, strict=True)))
        hit = {place for (place,) in connection.exec_driver_sql(sql, ordered(columns))}
        return [place in hit for place in range(1, len(rows) + 1)]

    def _compile(self, dialect: Dialect) -> _Compiled:
        statement = self._for_one() if dialect.name == "sqlite" else self._for_many()
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        names = list(self._names)
        order = [names.index(name) for name in compiled.positiontup or ()]
        made = _Compiled(str(compiled), itemgetter(*order))
        self._compiled[dialect.name] = made
        return made

    def _for_one(self) -> Update:
        return self._build(
            {name: bindparam(name, type_=kind) for name, kind in self._names.items()}
        )

    def _for_many(self) -> Update:
        arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in self._names.items()]
        given = func.unnest(*arrays).table_valued(
            *self._names, with_ordinality="place", name="given"
        )
        rows = given.render_derived()
        place = rows.c.place.cast(Integer)
        return self._build({name: rows.c[name] for name in self._names}).returning(place)
