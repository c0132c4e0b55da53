"""
What a tenant is told about places that it may not reach: the same about all of them.

Whether something listens there, and what a name inside leads to, is the operator's business.
Nothing is connected to, so an open port, a closed one and a filtered one cannot be told
apart, neither by what is said nor by how long it takes.
"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.base.errors import Invalid
from pillarbox.diagnosis.findings import Report, Status, Step
from pillarbox.mail.outcome import Stage
from pillarbox.relays.relay import RelaySettings

MAIL_PORTS = (25, 465, 587, 2525, 2465, 2587)
"""Where providers' relays listen. A diagnosis for a tenant knocks nowhere else."""

_ALIKE = frozenset({"network.name", "network.name-lookup", "network.forbidden"})
_NOWHERE = "this name leads to no mail server that may be reached from here"


def wrong_port(settings: RelaySettings) -> Invalid | None:
    """A port where no relay listens, and other things may."""
    if settings.port in MAIL_PORTS:
        return None
    ports = ", ".join(map(str, MAIL_PORTS))
    return Invalid(f"a relay listens on one of these ports: {ports}", field="port")


def guarded(report: Report) -> Report:
    """The same report, without what would tell one unreachable place from another."""
    broken = report.failure
    if broken is None or broken.stage is not Stage.DNS or broken.advice_id not in _ALIKE:
        return report
    told = Step(
        stage=Stage.DNS,
        status=Status.FAIL,
        evidence=_NOWHERE,
        cause="There is no public server of this name.",
        fix="Check the spelling, or have the operator open the network: PILLARBOX_ALLOW_NETWORKS.",
        advice_id="network.forbidden",
    )
    steps = tuple(told if step is broken else step for step in report.steps)
    return replace(report, steps=steps, transcript=())
