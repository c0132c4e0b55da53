"""A database URL is read, and shown without what nobody should see."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillarbox.base.db.location import is_postgresql, place, sqlite_path, without_password
from pillarbox.base.errors import Invalid


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hush@db.test/mail", "postgresql://ann:...@db.test/mail"),
        ("postgresql://ann:h:u@s%2Fh@db.test/mail", "postgresql://ann:...@db.test/mail"),
        ("postgresql://ann@db.test:5432/mail", "postgresql://ann@db.test:5432/mail"),
        ("postgresql://db.test/m?user=ann&password=hush", "postgresql://db.test/m?user=ann&password=..."),
        ("postgresql:///m?host=/run/pg&sslpassword=hush", "postgresql:///m?host=/run/pg&sslpassword=..."),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
    ],
)  # fmt: skip
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_place_is_a_path_or_a_server() -> None:
    assert place("sqlite:///a/b.db") == "a/b.db"
    assert place("postgresql://ann:hush@db.test/mail") == "postgresql://ann:...@db.test/mail"
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
    assert not is_postgresql("sqlite:///a/b.db")


@pytest.mark.parametrize("url", ["mysql://h/d", "postgres", "sqlite:///", "postgres://h/d"])
def test_any_other_url_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(Invalid, match="postgresql://user@host/name"):
        place(url)
