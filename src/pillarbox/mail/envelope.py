"""The envelope: who a message is from and for, as far as SMTP is concerned."""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.base.errors import Invalid
from pillarbox.mail.address import Address


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    RFC 5321 §2.3.1. Says nothing about From: and To:, which are content.

    A reverse_path of None is the null path `<>`, used for mail that must not bounce.
    """

    reverse_path: Address | None
    forward_paths: tuple[Address, ...]

    def __post_init__(self) -> None:
        if not self.forward_paths:
            raise Invalid("a message needs at least one recipient", field="to")

    @property
    def needs_smtputf8(self) -> bool:
        """True when a path cannot be written in ASCII (RFC 6531 §3.4)."""
        paths = (self.reverse_path, *self.forward_paths)
        return any(path.needs_smtputf8 for path in paths if path is not None)
