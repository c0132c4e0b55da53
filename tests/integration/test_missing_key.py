"""A key file that is gone is not replaced behind anybody's back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillarbox.app import open_app
from pillarbox.base.config import load
from pillarbox.base.errors import Unusable
from pillarbox.relays.change import RelayChange
from pillarbox.relays.versions import Decision


async def test_without_its_key_a_home_with_secrets_is_not_opened(tmp_path: Path) -> None:
    """A mount that is late must not cost every stored password (threat A7)."""
    config = load({"PILLARBOX_HOME": str(tmp_path / "home")})
    typed = {"name": "m", "host": "smtp.x.test", "username": "a@x.test", "password": "hunter2!"}
    async with open_app(config, deliver=False) as app:
        decision = Decision(change=RelayChange.read(typed), principal="test")
        await app.desk.registry.add(decision)
    key = config.key_file.read_bytes()
    config.key_file.unlink()

    with pytest.raises(Unusable, match=r"key file .* is missing"):
        async with open_app(config, deliver=False):
            raise AssertionError("it was opened")
    assert not config.key_file.exists()

    config.key_file.write_bytes(key)
    config.key_file.chmod(0o600)
    async with open_app(config, deliver=False) as app:
        relay = app.desk.registry.get("m")
        assert app.desk.registry.secrets(relay).password is not None


async def test_a_home_without_secrets_gets_a_new_key(tmp_path: Path) -> None:
    config = load({"PILLARBOX_HOME": str(tmp_path / "home")})
    async with open_app(config, deliver=False):
        config.key_file.unlink()
    async with open_app(config, deliver=False):
        assert config.key_file.exists()
