"""
Records of the domain name system: the one place that asks for them.

Addresses of hosts that we connect to are not looked up here but by base/dial.py, which asks
the system as every other program does. Here are MX, TXT and SRV, which the system cannot say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as Asking

LOOKUP_SECONDS = 4.0  # each question altogether, over all servers
MAX_RECORDS = 100  # more records of one kind at one name are nobody's honest set-up

Kind = Literal["A", "AAAA", "MX", "TXT", "SRV", "CNAME"]
Lookup = Callable[[str, Kind], Awaitable[tuple[str, ...]]]
"""
Given a name and a kind, the records as in a zone file, names in lower case without the last
dot: `10 mx.example.org`. A TXT is its strings joined. No name and no records are the same: ().
Raises NameTrouble when nobody knows.
"""


class NameTrouble(Exception):
    """The question has no answer now. `cause` is a sentence without its full stop."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Resolver:
    """
    Asks the system's name servers, or those that it is given as (address, port).

    All of them are asked in turn until one answers; `seconds` is for the whole question.
    """

    def __init__(
        self, servers: Sequence[tuple[str, int]] | None = None, seconds: float = LOOKUP_SECONDS
    ) -> None:
        self._servers = servers
        self._seconds = seconds

    async def __call__(self, name: str, kind: Kind) -> tuple[str, ...]:
        """See Lookup."""
        # The library is slow to import, and a server may never ask.
        import dns.exception
        import dns.resolver

        try:
            answer = await self._resolver().resolve(
                name, kind, lifetime=self._seconds, search=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.resolver.NoResolverConfiguration:
            raise NameTrouble("this machine has no name server to ask") from None
        except dns.resolver.NoNameservers:
            raise NameTrouble(f"the name servers refuse to answer about {name}") from None
        except dns.exception.Timeout:
            cause = f"no name server answered about {name} in {self._seconds:g} seconds"
            raise NameTrouble(cause) from None
        except (dns.exception.DNSException, UnicodeError, OSError) as error:
            raise NameTrouble(f"{name} cannot be looked up: {error}") from None
        return tuple(_text(record) for record in list(answer)[:MAX_RECORDS])

    def _resolver(self) -> Asking:
        """Read again each time: a laptop changes its name servers on the way."""
        import dns.asyncresolver

        resolver = dns.asyncresolver.Resolver(configure=self._servers is None)
        if self._servers is not None:
            resolver.nameservers = [address for address, _ in self._servers]
            resolver.nameserver_ports = dict(self._servers)
        resolver.timeout = min(self._seconds, 2.0)
        return resolver


def _text(record: object) -> str:
    from dns.rdtypes.ANY.TXT import TXT

    if isinstance(record, TXT):
        return b"".join(record.strings).decode("utf-8", "replace")
    words = str(record).split(" ")
    last = words[-1].lower()
    return " ".join([*words[:-1], last if last == "." else last.removesuffix(".")])
