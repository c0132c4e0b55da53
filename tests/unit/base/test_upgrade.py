"""A database file is brought to our version, or refused with what to do and left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import pillarbox.app  # declares every table
from pillarbox.base.db.open import OpenDatabase
from pillarbox.base.db.schema import metadata
from pillarbox.base.db.upgrade import LATEST, Condition, check_integrity, inspect, upgrade
from pillarbox.base.errors import Unusable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pillarbox.db"


def test_a_new_file_is_made_and_is_current(file: Path) -> None:
    assert upgrade(file) is Condition.ABSENT
    assert inspect(file) is Condition.CURRENT
    assert check_integrity(file) == []


def test_it_keeps_its_journal_beside_it_and_is_for_its_owner_only(file: Path) -> None:
    """WAL is what makes a commit one sync; the file may hold mail."""
    upgrade(file)

    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_migrations_make_exactly_the_tables_that_the_code_declares(file: Path) -> None:
    upgrade(file)
    engine = create_engine(f"sqlite:///{file}")

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_the_newest_migration_is_the_version_we_ask_for() -> None:
    folder = Path(pillarbox.app.__file__).parent / "base" / "db" / "migrations"

    assert ScriptDirectory(str(folder)).get_current_head() == LATEST


def test_an_upgrade_that_was_cut_short_can_be_repeated(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is one transaction: half an upgrade is no upgrade."""
    from alembic import command

    real = command.upgrade

    def cut_short(*args: object) -> None:
        real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", cut_short)
    with pytest.raises(KeyboardInterrupt):
        upgrade(file)
    monkeypatch.undo()

    upgrade(file)
    assert inspect(file) is Condition.CURRENT


def _newer(file: Path) -> None:
    upgrade(file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def _damaged(file: Path) -> None:
    upgrade(file)
    octets = bytearray(file.read_bytes())
    octets[100:4096] = b"\xff" * 3996
    file.write_bytes(octets)


def _overwrite(name: str) -> Callable[[Path], None]:
    """Damage that leaves the schema readable: where this table or index begins."""

    def damage(file: Path) -> None:
        upgrade(file)
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
            (page,) = connection.execute(query, [name]).fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.close()
        octets = bytearray(file.read_bytes())
        octets[(page - 1) * size : page * size] = b"\xff" * size
        file.write_bytes(octets)

    return damage


def _another_programs(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE customers (id)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda file: file.write_text("Dear diary"), "is not a SQLite database"),
        (_newer, "newer pillarbox"),
        (_damaged, "is damaged"),
        (_overwrite("deliveries"), "is damaged"),
        (_overwrite("deliveries_due"), "is damaged"),
        (_overwrite("deliveries_leased"), "is damaged"),
        (_overwrite("sqlite_autoindex_messages_1"), "is damaged"),
        (_overwrite("events"), "is damaged"),
        (_another_programs, "of another program"),
    ],
)
async def test_a_file_that_is_not_ours_to_use_is_refused_and_untouched(
    file: Path, make: object, says: str
) -> None:
    """Refused with what to do; not one octet changes."""
    make(file)  # type: ignore[operator]
    before = file.read_bytes()

    with pytest.raises(Unusable, match=says):
        async with OpenDatabase(f"sqlite:///{file}"):
            raise AssertionError("it was opened")

    assert file.read_bytes() == before


async def test_a_second_process_is_told_that_the_file_is_in_use(file: Path) -> None:
    """Two writers could corrupt it (SQLite's WAL-reset bug)."""
    async with OpenDatabase(f"sqlite:///{file}"):
        with pytest.raises(Unusable, match="another pillarbox process"):
            async with OpenDatabase(f"sqlite:///{file}"):
                raise AssertionError("it was opened twice")


async def test_a_file_that_would_forget_is_refused(file: Path) -> None:
    """Without its log beside it, a commit is more than one sync, and readers block writers."""
    upgrade(file)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()

    with pytest.raises(Unusable, match="journal_mode=delete"):
        async with OpenDatabase(f"sqlite:///{file}"):
            raise AssertionError("it was opened")
