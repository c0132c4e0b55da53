"""What a diagnosis found: steps, proposals and the transcript, as values for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from pillarbox.base.dial import Knock
from pillarbox.mail.outcome import Stage


class Status(Enum):
    """How a step went. A warning does not make a relay unwell."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


LABELS = {
    Stage.CONFIGURATION: "Settings",
    Stage.DNS: "Find the host",
    Stage.CONNECT: "Connect",
    Stage.GREETING: "Greeting",
    Stage.EHLO: "What it offers",
    Stage.TLS: "TLS and certificate",
    Stage.TOKEN: "Access token",
    Stage.AUTH: "Sign in",
    Stage.MAIL: "Sender",
    Stage.RCPT: "Recipient",
    Stage.DATA: "Test mail",
    Stage.QUIT: "Goodbye",
}
"""
The steps of a report, in words. Each report about a server has each of them at least once, but
for the token, which only a relay with auth oauth2 needs, and the test mail, which is sent to
nobody who was not named for it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One address of the host: what it did when it was tried, and how long that took."""

    ip: str
    knock: Knock
    milliseconds: float | None

    @property
    def family(self) -> str:
        return "IPv6" if ":" in self.ip else "IPv4"

    def to_json(self) -> dict[str, Any]:
        return {
            "ip": self.ip,
            "family": self.family,
            "found": self.knock.value,
            "milliseconds": None if self.milliseconds is None else round(self.milliseconds, 1),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One step. evidence is what the server said, or a fact; it is one printable line.

    milliseconds is how long the other side made us wait, None if the step was not taken.
    cause and fix are sentences. advice_id names an entry of the catalogue; field is the
    setting that a failing configuration step is about. addresses are all that the host has,
    each tried by itself, in the step that connects.
    """

    stage: Stage
    status: Status
    evidence: str
    milliseconds: float | None = None
    cause: str | None = None
    fix: str | None = None
    advice_id: str | None = None
    field: str | None = None
    addresses: tuple[Tried, ...] = ()

    @property
    def label(self) -> str:
        return LABELS[self.stage]

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage.value,
            "label": self.label,
            "status": self.status.value,
            "milliseconds": None if self.milliseconds is None else round(self.milliseconds, 1),
            "evidence": self.evidence,
            "cause": self.cause,
            "fix": self.fix,
            "advice_id": self.advice_id,
            "field": self.field,
            "addresses": [each.to_json() for each in self.addresses],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    Settings that would do better, ready for RelayChange.read, and why we think so.

    asks_again names the secrets that the change would drop: they are bound to where they go.
    """

    change: Mapping[str, Any]
    why: str
    asks_again: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "change": dict(self.change),
            "why": self.why,
            "asks_again": list(self.asks_again),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was found. transcript has one line for each line said or noted."""

    steps: tuple[Step, ...]
    proposals: tuple[Proposal, ...] = ()
    transcript: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Nothing failed. What was skipped or warned about does not count."""
        return all(step.status is not Status.FAIL for step in self.steps)

    @property
    def failure(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.status is Status.FAIL), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "is_well": self.is_well,
            "steps": [step.to_json() for step in self.steps],
            "proposals": [proposal.to_json() for proposal in self.proposals],
            "transcript": list(self.transcript),
        }


def skipped(stage: Stage, why: str) -> Step:
    """A step that was not taken."""
    return Step(stage=stage, status=Status.SKIP, evidence=why)


def warned(step: Step, cause: str, fix: str | None = None) -> Step:
    """The same step with something a person should know. A failure stays a failure."""
    if step.status is Status.FAIL:
        return step
    cause = f"{step.cause} {cause}" if step.cause else cause
    fix = " ".join(filter(None, (step.fix, fix))) or None
    return replace(step, status=Status.WARN, cause=cause, fix=fix)
