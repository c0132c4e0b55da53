"""The release after this one: our own source, with one migration more that can be stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pillarbox
from pillarbox.base.db.upgrade import LATEST

STEPS = 6
"""Where its migration can be stopped: before, between and after its five statements."""
STOP_AT = "NEXT_RELEASE_STOPS_AT"
"""The environment variable: number of the step, a colon, and the file that is made there."""
NEW_COLUMN = "era"


def next_release(folder: Path) -> Path:
    """Where it is: first in PYTHONPATH, it is what `python -m pillarbox` runs."""
    place = folder / "next-release"
    source = Path(pillarbox.__file__).parent
    shutil.copytree(source, place / "pillarbox", ignore=shutil.ignore_patterns("__pycache__"))
    migrating = place / "pillarbox" / "base" / "db"
    upgrade = migrating / "upgrade.py"
    text = upgrade.read_text()
    assert text.count(f'LATEST = "{LATEST}"') == 1
    upgrade.write_text(text.replace(f'LATEST = "{LATEST}"', 'LATEST = "9000"'))
    versions = migrating / "migrations" / "versions"
    (versions / "9000_next.py").write_text(_MIGRATION.replace("LATEST", LATEST))
    return place


# On SQLite each table is copied and the old one dropped: nothing could lose more if cut short.
_MIGRATION = f'''
"""Every message and delivery gets an era."""

import os
import signal
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision, down_revision = "9000", "LATEST"


def upgrade() -> None:
    _may_stop(0)
    _add("messages")
    _may_stop(1)
    op.execute("UPDATE messages SET {NEW_COLUMN} = 'old'")
    _may_stop(2)
    _copy("messages")
    _may_stop(3)
    _add("deliveries")
    _may_stop(4)
    _copy("deliveries")
    _may_stop(5)


def _add(table: str) -> None:
    op.add_column(table, sa.Column("{NEW_COLUMN}", sa.String(8), server_default="old"))


def _copy(table: str) -> None:
    with op.batch_alter_table(table) as batch:
        batch.alter_column("{NEW_COLUMN}", nullable=False, existing_type=sa.String(8))


def _may_stop(step: int) -> None:
    number, _, mark = os.environ.get("{STOP_AT}", "").partition(":")
    if number == str(step):
        Path(mark).touch()
        signal.pause()
'''
