"""Records looked up at a name server of our own, by UDP and by TCP."""

from __future__ import annotations

import pytest

from pillarbox.base.dns import Kind, NameTrouble, Resolver
from support.dns_server import Trouble, dns_server

LONG = "v=DKIM1; p=" + "A" * 900


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("b.example", "MX", ("10 mx.b.example", "20 mx2.b.example")),
        ("B.Example.", "MX", ("10 mx.b.example", "20 mx2.b.example")),
        ("null.example", "MX", ("0 .",)),
        ("long.example", "TXT", (LONG,)),
        ("alias.example", "TXT", ("at the end",)),
        ("_submission._tcp.b.example", "SRV", ("0 1 587 smtp.b.example",)),
        ("b.example", "TXT", ()),
        ("nothing.example", "TXT", ()),
        ("six.example", "AAAA", ("2001:db8::1",)),
    ],
)
async def test_records_come_as_text(name: str, kind: Kind, expected: tuple[str, ...]) -> None:
    """As a zone file has them; a long one by TCP; no name and no record alike."""
    zone = {
        "b.example": {"MX": ["10 MX.b.example", "20 mx2.b.example"]},
        "null.example": {"MX": ["0 ."]},
        "long.example": {"TXT": [LONG]},
        "alias.example": {"CNAME": ["target.example"]},
        "target.example": {"TXT": ["at the end"]},
        "_submission._tcp.b.example": {"SRV": ["0 1 587 smtp.b.example"]},
        "six.example": {"AAAA": ["2001:db8::1"]},
    }
    with dns_server(zone) as server:
        lookup = Resolver([(server.host, server.port)])
        assert sorted(await lookup(name, kind)) == sorted(expected)


@pytest.mark.parametrize("trouble", [Trouble.SERVFAIL, Trouble.REFUSED, Trouble.SILENT])
async def test_trouble_is_not_absence(trouble: Trouble) -> None:
    """Nobody is told to publish a record that only could not be looked up."""
    with dns_server({"b.example": {"TXT": trouble}}) as server:
        lookup = Resolver([(server.host, server.port)], seconds=0.5)
        with pytest.raises(NameTrouble, match=r"b\.example"):
            await lookup("b.example", "TXT")


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", "." * 300])
async def test_what_is_no_name_is_trouble(name: str) -> None:
    """Whatever was typed, the caller gets one kind of error."""
    with pytest.raises(NameTrouble):
        await Resolver([("127.0.0.1", 9)], seconds=0.5)(name, "TXT")
