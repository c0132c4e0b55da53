"""What a diagnosis answers, for the OpenAPI document: reports and proposals."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class AddressShown(TypedDict):
    """One address of the host, tried by itself. found: open, refused, no answer and so on."""

    ip: str
    family: str
    found: str
    milliseconds: float | None


class StepShown(TypedDict):
    """One step of a diagnosis. status is ok, warn, fail or skip."""

    stage: str
    label: str
    status: str
    milliseconds: float | None
    evidence: str
    cause: str | None
    fix: str | None
    advice_id: str | None
    field: str | None
    addresses: list[AddressShown]


class ProposalShown(TypedDict):
    """Settings that would do better; asks_again are secrets that must be given with them."""

    change: dict[str, Any]
    why: str
    asks_again: list[str]


class FoundShown(ProposalShown):
    """Settings for an address. sure is certain, likely or guess; answers: it was tried."""

    source: str
    sure: str
    answers: bool


class LookedShown(TypedDict):
    """What one source had to say."""

    source: str
    evidence: str


class ProposalsShown(TypedDict):
    """Settings for an address, the best first, and where we looked."""

    object: str
    address: str
    proposals: list[FoundShown]
    looked: list[LookedShown]


class ReportShown(TypedDict):
    """What a diagnosis found; the transcript holds no secrets."""

    ok: bool
    relay: str | None
    steps: list[StepShown]
    proposals: list[ProposalShown]
    transcript: list[str]
