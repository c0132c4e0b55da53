"""An event is read back as it was told, whatever kind it is."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine

from pillarbox.journal import journal
from pillarbox.journal.events import Event, catalogue

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
_VALUES = {
    "int": 17,
    "str": 'half "ä" \\ \n \ud800',
    "str | None": None,
    "int | None": 3,
    "bool": True,
    "tuple[str, ...]": ("a", "ä"),
}


@pytest.mark.parametrize("kind", catalogue().values(), ids=lambda kind: str(kind.name))
def test_every_event_is_kept_with_all_its_facts(kind: type[Event]) -> None:
    """The quick row of a message's path and the row of a restore say the same."""
    said: dict[str, Any] = {each.name: _VALUES[str(each.type)] for each in fields(kind)}
    event = kind(**said | {"message_id": "msg_1", "principal": "key:1"})
    row = journal.row_of(NOW, event)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        journal.events.create(connection)
        journal.write(connection, [(NOW, event)])
        (entry,) = journal.of_message(connection, "msg_1")

    kept = {each.name: getattr(entry, each.name) for each in fields(entry) if each.name != "id"}
    row["facts"] = json.loads(json.dumps(row["facts"]))  # a tuple comes back as a list
    assert kept == row
    assert kept["facts"].keys() | {"message_id", "delivery_id", "relay_id", "principal"} == set(
        said
    )
