"""
Secrets at rest: AES-256-GCM (NIST SP 800-38D), bound to what they may be used for.

A sealed secret is one octet of version, eight of key id, twelve of nonce, then the
ciphertext with its tag. Whoever opens it says again what it is bound to. If that differs
by one octet from what it was sealed with, it does not open: no `if` to forget.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pillarbox.base.durable import sync
from pillarbox.base.errors import Unusable
from pillarbox.base.secret import Secret

_VERSION = b"\x01"
_KEY_OCTETS = 32
_ID_OCTETS = 8
_NONCE_OCTETS = 12
_TAG_OCTETS = 16
_HEADER_OCTETS = len(_VERSION) + _ID_OCTETS

_HEADING = (
    "# The keys of pillarbox. Keep a copy where the database backups are not.\n"
    "# Without this file no stored password can be read. The first key seals.\n"
)


class CannotOpen(Unusable):
    """A sealed secret stays shut. It has to be typed again, or its key brought back."""

    code = "cannot_open_secret"


class UnknownKey(CannotOpen):
    """It was sealed with a key that this key file does not hold."""


class WrongBinding(CannotOpen):
    """It was sealed for another destination, or its octets were changed. GCM cannot tell which."""


@dataclass(frozen=True, slots=True)
class Key:
    """32 random octets. Its id is their fingerprint, so a damaged key gives itself away."""

    octets: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Key:
        return cls(AESGCM.generate_key(bit_length=_KEY_OCTETS * 8))

    @property
    def id(self) -> str:
        return hashlib.sha256(b"pillarbox key id\x00" + self.octets).digest()[:_ID_OCTETS].hex()


class Keyring:
    """
    One key that seals, and older ones that still open.

    Nonces are random: one key must seal fewer than 2**32 secrets (SP 800-38D §8.3).
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("a keyring needs a key")
        self._keys = tuple(keys)
        self._by_id = {bytes.fromhex(key.id): key for key in keys}

    @classmethod
    def load_or_create(cls, path: Path) -> Keyring:
        """
        The keys in this file, which is made with one new key when there is none.

        Raises Unusable when the file is damaged, readable by others or cannot be written.
        """
        if not path.exists():
            _create(path, cls([Key.generate()]).to_text())
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Raises Unusable when the file is missing, damaged or readable by others."""
        try:
            with path.open("rb") as file:
                _refuse_if_others_may_read(path, os.fstat(file.fileno()))
                content = file.read()
        except FileNotFoundError:
            raise Unusable(
                f"the key file {path} is missing. Bring it back from your copy:"
                " without it no stored password can be read"
            ) from None
        except OSError as error:
            raise Unusable(f"the key file {path} cannot be read: {error.strerror}") from None
        return cls(_parse(path, content))

    def save(self, path: Path) -> None:
        """Replaces the file, whole or not at all: mode 0600, on stable storage when it returns."""
        try:
            temporary = _write_beside(path, self.to_text())
            temporary.replace(path)
            sync(path.parent)
        except OSError as error:
            raise Unusable(f"the key file {path} cannot be written: {error.strerror}") from None

    def with_new_key(self) -> Keyring:
        """The same keys behind a new one, which seals from now on."""
        return Keyring([Key.generate(), *self._keys])

    def without(self, key_id: str) -> Keyring:
        """All but this key. Take one away only when nothing is sealed with it any more."""
        return Keyring([key for key in self._keys if key.id != key_id])

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Hexadecimal; the first one seals."""
        return tuple(key.id for key in self._keys)

    def seal(self, secret: Secret, bound_to: bytes) -> bytes:
        """The secret in 37 octets more than its own. `bound_to` is not kept, only proven."""
        key = self._keys[0]
        header = _VERSION + bytes.fromhex(key.id)
        nonce = os.urandom(_NONCE_OCTETS)
        plain = secret.reveal().encode()
        return header + nonce + AESGCM(key.octets).encrypt(nonce, plain, header + bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> Secret:
        """Raises UnknownKey or WrongBinding; both are CannotOpen."""
        key = self._by_id.get(bytes.fromhex(key_id_of(sealed)))
        if key is None:
            raise UnknownKey(
                f"a stored secret was sealed with key {key_id_of(sealed)}, which the key file"
                " does not hold. Bring that key back, or enter the secret again"
            )
        header, rest = sealed[:_HEADER_OCTETS], sealed[_HEADER_OCTETS:]
        nonce, ciphertext = rest[:_NONCE_OCTETS], rest[_NONCE_OCTETS:]
        try:
            plain = AESGCM(key.octets).decrypt(nonce, ciphertext, header + bound_to)
        except InvalidTag:
            raise WrongBinding(
                "a stored secret does not belong to this destination. Enter it again"
            ) from None
        return Secret(plain.decode())

    def to_text(self) -> str:
        """What stands in the key file: a line for each key, its id and the key in base64."""
        return _HEADING + "".join(f"{_line(key)}\n" for key in self._keys)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.key_ids)})"


def key_id_of(sealed: bytes) -> str:
    """Which key sealed this. Raises WrongBinding when these octets are no sealed secret."""
    shortest = _HEADER_OCTETS + _NONCE_OCTETS + _TAG_OCTETS
    if len(sealed) < shortest or not sealed.startswith(_VERSION):
        raise WrongBinding("a stored secret is damaged. Enter it again")
    return sealed[len(_VERSION) : _HEADER_OCTETS].hex()


def _parse(path: Path, content: bytes) -> list[Key]:
    """The keys of a file's lines; anything that is not exactly a key is damage."""
    keys = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.startswith(b"#"):
            continue
        key = _parse_line(line)
        if key is None:
            raise Unusable(
                f"line {number} of the key file {path} is damaged. Bring the file back from"
                " your copy: without it no stored password can be read"
            )
        keys.append(key)
    if not keys:
        raise Unusable(f"the key file {path} holds no key. Bring it back from your copy")
    return keys


def _parse_line(line: bytes) -> Key | None:
    try:
        _, encoded = line.decode("ascii").split()
        key = Key(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        return None
    return key if len(key.octets) == _KEY_OCTETS and _line(key) == line.decode() else None


def _line(key: Key) -> str:
    return f"{key.id} {base64.b64encode(key.octets).decode()}"


def _refuse_if_others_may_read(path: Path, status: os.stat_result) -> None:
    """
    Only the owner may read it. A file that root lends us through its group is fine.

    PostgreSQL has the same rule for its TLS key; container platforms mount secrets that way.
    """
    if os.name != "posix":
        return
    ours = status.st_uid == os.geteuid()
    if stat.S_IMODE(status.st_mode) & (0o077 if ours else 0o027):
        raise Unusable(f"others can read the key file {path}. Run: chmod 600 {path}")


def _create(path: Path, text: str) -> None:
    """
    Makes the file unless another process was faster; then its file counts.

    The complete file is linked to its name, which fails if the name is taken. So nobody
    ever reads half a key, and two first starts end up with the same one.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = _write_beside(path, text)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        sync(path.parent)
    except OSError as error:
        raise Unusable(f"the key file {path} cannot be made: {error.strerror}") from None


def _write_beside(path: Path, text: str) -> Path:
    """A new file in the same folder, mode 0600 from the start, on stable storage."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
