"""Secrets at rest: what opens, what does not, and what happens to the key file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.base.errors import Unusable
from pillarbox.base.sealing import (
    CannotOpen,
    Key,
    Keyring,
    UnknownKey,
    WrongBinding,
    key_id_of,
)
from pillarbox.base.secret import Secret

HERE = b"relay 1, mail.example.org:465"
PASSWORD = Secret("pässword")


@pytest.fixture
def ring() -> Keyring:
    return Keyring([Key.generate()])


def test_what_was_sealed_opens_where_it_was_sealed_for(ring: Keyring) -> None:
    """The round trip gives the same secret, of any alphabet."""
    assert ring.open(ring.seal(PASSWORD, HERE), HERE) == PASSWORD


@pytest.mark.parametrize("elsewhere", [b"", HERE + b" ", HERE[:-1], HERE.replace(b"1", b"2", 1)])
def test_it_opens_nowhere_else(ring: Keyring, elsewhere: bytes) -> None:
    """One octet of difference in the binding keeps it shut."""
    with pytest.raises(WrongBinding):
        ring.open(ring.seal(PASSWORD, HERE), elsewhere)


def test_every_octet_of_it_matters(ring: Keyring) -> None:
    """A changed octet anywhere, header and nonce included, is noticed."""
    sealed = ring.seal(PASSWORD, HERE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            ring.open(bytes(changed), HERE)


@given(st.binary(max_size=80))
def test_noise_does_not_open(noise: bytes) -> None:
    """Whatever stands in a damaged row, opening it raises CannotOpen and nothing else."""
    with pytest.raises(CannotOpen):
        Keyring([Key(b"k" * 32)]).open(noise, HERE)


def test_sealing_twice_gives_different_octets(ring: Keyring) -> None:
    """Equal passwords cannot be seen to be equal in the database."""
    assert ring.seal(PASSWORD, HERE) != ring.seal(PASSWORD, HERE)


def test_the_first_key_seals_and_the_others_still_open(ring: Keyring) -> None:
    """Rotation: old secrets open until the old key is taken away."""
    old = ring.seal(PASSWORD, HERE)
    rotated = ring.with_new_key()
    new = rotated.seal(PASSWORD, HERE)

    assert rotated.open(old, HERE) == PASSWORD
    assert (key_id_of(old), key_id_of(new)) == (rotated.key_ids[1], rotated.key_ids[0])
    with pytest.raises(UnknownKey, match=rotated.key_ids[1]):
        rotated.without(rotated.key_ids[1]).open(old, HERE)


def test_another_keyring_opens_nothing(ring: Keyring) -> None:
    """A database without its key file gives no password away."""
    with pytest.raises(UnknownKey):
        Keyring([Key.generate()]).open(ring.seal(PASSWORD, HERE), HERE)


def test_no_key_is_printed(ring: Keyring) -> None:
    """Neither a key nor a keyring shows its octets."""
    key = Key(b"\x01" * 32)
    assert "x01" not in repr(key)
    assert repr(Keyring([key])) == f"Keyring({key.id})"


def test_the_first_start_makes_a_file_that_only_we_can_read(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, and nothing left beside it."""
    path = tmp_path / "home" / "secret.key"
    before = os.umask(0)
    try:
        made = Keyring.load_or_create(path)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]
    assert Keyring.load_or_create(path).key_ids == made.key_ids


def test_first_starts_at_the_same_moment_end_up_with_one_key(tmp_path: Path) -> None:
    """The file that was first counts for everybody."""
    path = tmp_path / "secret.key"
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: Keyring.load_or_create(path), range(16)))
    assert len({ring.key_ids for ring in rings}) == 1


def test_saving_replaces_the_file_whole(tmp_path: Path) -> None:
    """After a rotation both keys are there, in order, and still private."""
    path = tmp_path / "secret.key"
    rotated = Keyring.load_or_create(path).with_new_key()
    rotated.save(path)
    assert Keyring.load(path).key_ids == rotated.key_ids
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The message says how to put it right."""
    path = tmp_path / "secret.key"
    Keyring.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(Unusable, match=f"chmod 600 {path}"):
        Keyring.load(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: text.replace(text.split()[-1], "c2hvcnQ="),
        lambda text: text[:-3] + ("A" if text[-3] != "A" else "B") + text[-2:],
        lambda text: "",
        lambda text: "# only a heading\n",
        lambda text: text + "one more line\n",
        lambda text: "\u00e4" + text,
    ],
)
def test_a_damaged_file_is_refused_and_never_replaced(tmp_path: Path, damage: object) -> None:
    """A new key in its place would lose every stored password for good."""
    path = tmp_path / "secret.key"
    Keyring.load_or_create(path)
    path.write_text(damage(path.read_text()), encoding="utf-8")  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(Unusable, match="from your copy"):
        Keyring.load_or_create(path)
    assert path.read_bytes() == before


def test_a_missing_file_is_refused_by_load(tmp_path: Path) -> None:
    """Only a first start makes keys."""
    with pytest.raises(Unusable, match="is missing"):
        Keyring.load(tmp_path / "secret.key")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder in the way is reported with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match=str(tmp_path)):
        Keyring.load_or_create(tmp_path / "file" / "secret.key")
