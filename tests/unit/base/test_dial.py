"""Which addresses a connection may go to, and that it goes to the one that was checked."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from pillarbox.base.dial import Destination, DialError, Fault, Policy, dial, may_reach

PRIVATE = Policy(allow_private=True)
PUBLIC = Policy()


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_some_addresses_are_never_reached(text: str) -> None:
    """Not even by a system relay, and not in disguise."""
    assert not may_reach(ipaddress.ip_address(text), PRIVATE)
    assert not may_reach(ipaddress.ip_address(text), PUBLIC)


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "100.64.0.1", "::ffff:10.0.0.1"],
)
def test_private_addresses_need_to_be_allowed(text: str) -> None:
    """For tenants they are not, unless the network is on the list."""
    address = ipaddress.ip_address(text)
    assert may_reach(address, PRIVATE)
    assert not may_reach(address, PUBLIC)


def test_a_listed_network_is_reached() -> None:
    """And only that network."""
    policy = Policy(networks=(ipaddress.ip_network("10.1.0.0/16"),))
    assert may_reach(ipaddress.ip_address("10.1.2.3"), policy)
    assert not may_reach(ipaddress.ip_address("10.2.2.3"), policy)
    assert may_reach(ipaddress.ip_address("8.8.8.8"), PUBLIC)


def answering(*addresses: str) -> object:
    """A resolver that answers once; asked again it would say something else."""
    answers = [list(addresses)]

    async def resolve(host: str) -> Sequence[str]:
        return answers.pop()

    return resolve


async def test_a_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    """Addresses that are not allowed are left out; the first that answers is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        destination = Destination(host="relay.test", port=port, policy=PRIVATE)
        resolver = answering("169.254.169.254", "127.0.0.2", "127.0.0.1")
        dialled = await dial(destination, resolver)  # type: ignore[arg-type]
        dialled.socket.close()

    assert (dialled.ip, dialled.port) == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("addresses", "policy", "fault"),
    [
        (("127.0.0.1",), PUBLIC, Fault.FORBIDDEN_ADDRESS),
        (("169.254.169.254",), PRIVATE, Fault.FORBIDDEN_ADDRESS),
        ((), PRIVATE, Fault.NAME_NOT_FOUND),
        (("127.0.0.1",), PRIVATE, Fault.REFUSED),
    ],
)
async def test_why_there_is_no_connection_is_said(
    addresses: tuple[str, ...], policy: Policy, fault: Fault
) -> None:
    """Each with its own fault, which diagnosis explains."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DialError) as caught:
        await dial(
            Destination(host="relay.test", port=port, policy=policy),
            answering(*addresses),  # type: ignore[arg-type]
        )
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("errno", "fault"),
    [
        (socket.EAI_NONAME, Fault.NAME_NOT_FOUND),
        (socket.EAI_AGAIN, Fault.NAME_LOOKUP_FAILED),
    ],
)
async def test_a_name_that_is_unknown_and_a_lookup_that_failed_are_two_things(
    errno: int, fault: Fault
) -> None:
    """One is a typing mistake, the other passes by itself."""

    async def resolve(host: str) -> Sequence[str]:
        raise socket.gaierror(errno, "said the resolver")

    with pytest.raises(DialError) as caught:
        await dial(Destination(host="relay.test", port=25), resolve)
    assert caught.value.fault is fault


async def test_a_peer_that_resets_at_once_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It connects, and is gone before we can look who it was."""

    class Reset(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            raise OSError(107, "Transport endpoint is not connected")

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(socket, "socket", Reset)
        with pytest.raises(DialError, match="closed the connection at once") as caught:
            await dial(Destination(host="127.0.0.1", port=port, policy=PRIVATE))

    assert caught.value.fault is Fault.REFUSED
