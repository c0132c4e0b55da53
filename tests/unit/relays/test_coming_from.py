"""The guides for people who come from another system name what there is."""

from __future__ import annotations

import re
from pathlib import Path

from pillarbox.relays.change import PASSPHRASE
from pillarbox.relays.fields import READERS
from pillarbox.relays.relay import Slot

GUIDES = Path(__file__).parents[3] / "docs/guides/coming-from"
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$", re.M)
FIELDS = {*READERS, *(slot.value for slot in Slot), PASSPHRASE}


def test_every_feature_of_the_comparison_has_its_row() -> None:
    """36 of them, each with a field here or a sentence why not."""
    rows = ROW.findall((GUIDES / "README.md").read_text())

    assert [int(number) for number, *_ in rows] == list(range(1, 37))
    for number, _, here, different in rows:
        assert here.strip() != "–" or different.strip(), f"row {number} says nothing"


def test_every_field_in_the_table_is_a_field() -> None:
    """Typed as it stands there, it is known."""
    rows = ROW.findall((GUIDES / "README.md").read_text())
    named = {
        word
        for _, _, here, _ in rows
        for word in re.findall(r"`([a-z_]+)`(?! =)|`([a-z_]+)` =", here)
        for word in word
        if word
    }
    values = {"implicit", "starttls", "none", "http", "socks5", "password"}

    assert named - values <= FIELDS
    assert {"host", "client_key", "bcc", "proxy_password"} <= named
