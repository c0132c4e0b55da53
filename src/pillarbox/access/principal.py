"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PrincipalKind(Enum):
    """By what right: a stored key, the machine's own operator, or pillarbox itself."""

    KEY = "key"
    OPERATOR = "operator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """A program or person, as journal entries name it."""

    kind: PrincipalKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"


OPERATOR = Principal(PrincipalKind.OPERATOR, "local")
SYSTEM = Principal(PrincipalKind.SYSTEM, "pillarbox")
