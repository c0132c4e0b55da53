"""What a diagnosis takes from where it runs: names, records, pages, and what may be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from pillarbox.base import dial, dns
from pillarbox.diagnosis import ports
from pillarbox.diagnosis.case import PATIENCE
from pillarbox.relays.ehlo import FALLBACK_EHLO_NAME
from pillarbox.smtp.endpoint import Deadlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    Tests bring their own.

    ehlo_name is what we call ourselves (RFC 5321 §4.1.4); doors are where else to look on a
    host whose port does not answer. For proposals, web_port is where providers publish pages by
    https, and authorities is PEM text to believe instead of the system's.
    """

    ehlo_name: str = FALLBACK_EHLO_NAME
    allow_private: bool = True
    allow_networks: tuple[str, ...] = ()
    resolver: dial.Resolver = dial.system_resolver
    lookup: dns.Lookup = field(default_factory=dns.Resolver)
    doors: Sequence[ports.Door] = ports.USUAL_DOORS
    patience: Deadlines = PATIENCE
    web_port: int = 443
    authorities: str | None = None

    @property
    def policy(self) -> dial.Policy:
        networks = tuple(map(ip_network, self.allow_networks))
        return dial.Policy(allow_private=self.allow_private, networks=networks)
