"""What the API answers about domains that mail is signed for, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDomain:
    """A domain whose mail is signed; keys are those that wait first, each with its record."""

    id: str = ""
    domain: str = ""
    is_signing: bool = False
    keys: tuple[Json, ...] = field(default=(), metadata={"read": tuple})
    json: Json = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether mail from an address will be believed. signs: selectors that sign as of now."""

    ok: bool = False
    domain: str = ""
    findings: tuple[Json, ...] = field(default=(), metadata={"read": tuple})
    signs: tuple[str, ...] = field(default=(), metadata={"read": tuple})
    json: Json = field(default_factory=dict, repr=False, compare=False)
