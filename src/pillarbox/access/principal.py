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
    """
    A program or person, as journal entries name it.

    tenant is the id of the tenant that it acts for; None is the system, which may do everything.
    """

    kind: PrincipalKind
    id: str
    tenant: str | None = None

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"


OPERATOR = Principal(PrincipalKind.OPERATOR, "local")
SYSTEM = Principal(PrincipalKind.SYSTEM, "pillarbox")
