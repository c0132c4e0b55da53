"""Options: defaults, file, environment, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillarbox.base.config import Config, Listen, load, names
from pillarbox.base.errors import Invalid, Rejected


def test_nothing_needs_to_be_set() -> None:
    config = load({})

    assert config == Config(home=Path.cwd() / ".pillarbox")
    assert config.database == f"sqlite:///{Path.cwd()}/.pillarbox/pillarbox.db"
    assert str(config.http) == "127.0.0.1:8425"
    assert config.public_url == "http://127.0.0.1:8425"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pillarbox.toml"
    file.write_text('http = "127.0.0.1:1"\nlog = "json"\nallow_networks = ["10.0.0.0/8"]\n')

    config = load({"PILLARBOX_HTTP": "[::1]:2"}, file)

    assert (config.http, config.log) == (Listen("::1", 2), "json")
    assert [str(each) for each in config.allow_networks] == ["10.0.0.0/8"]


def test_an_unknown_option_stops_the_start_and_names_the_nearest() -> None:
    with pytest.raises(Rejected, match="PILLARBOX_HTPP is not an option; did you mean"):
        load({"PILLARBOX_HTPP": "127.0.0.1:1"})


def test_an_unknown_key_in_the_file_too(tmp_path: Path) -> None:
    file = tmp_path / "pillarbox.toml"
    file.write_text('base_ulr = "https://x.org"\n')

    with pytest.raises(Rejected, match="did you mean PILLARBOX_BASE_URL"):
        load({}, file)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(Rejected) as caught:
        load({"PILLARBOX_HTTP": "x", "PILLARBOX_LOG": "loud", "PILLARBOX_SMPT": "off"})

    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["PILLARBOX_HTTP", "PILLARBOX_LOG", "PILLARBOX_SMPT"]


@pytest.mark.parametrize("url", ["mail.example.org", "ftp://x.org", "https://", "https://x.org/?a"])
def test_a_base_url_is_an_address(url: str) -> None:
    with pytest.raises(Rejected, match="PILLARBOX_BASE_URL"):
        load({"PILLARBOX_BASE_URL": url})


@pytest.mark.parametrize("text", ["not toml", "http = 1", "\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pillarbox.toml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(Invalid, match=r"pillarbox\.toml"):
        load({}, file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="could not be read"):
        load({}, tmp_path / "absent.toml")


def test_smtp_can_be_switched_off() -> None:
    assert load({"PILLARBOX_SMTP": "off"}).smtp is None


def test_every_option_has_a_sentence() -> None:
    assert all(text.endswith(".") for text in names().values())
