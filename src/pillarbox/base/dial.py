"""
The one way to open a connection to another host.

A name is resolved once, every address is checked, and the connection goes to an address that
was checked. Nothing resolves the name again, so it cannot change in between (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from pillarbox.base.proxy import ProxyDialogue, ProxyRefused, Via, ask

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Given a host name, its addresses as text, best first. Raises socket.gaierror."""

_MAX_ADDRESSES = 8  # more than this helps nobody
_STAGGER = 0.25  # seconds before the next address is tried too, RFC 8305 §5
_METADATA = frozenset(  # where clouds tell a machine its secrets
    map(
        ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192")
    )
)
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


class Fault(Enum):
    """Why there is no connection."""

    NAME_NOT_FOUND = "name not found"
    NAME_LOOKUP_FAILED = "name lookup failed"
    FORBIDDEN_ADDRESS = "forbidden address"
    REFUSED = "connection refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    PROXY = "proxy refused"


class Knock(Enum):
    """What one address did when it was tried by itself."""

    OPEN = "open"
    REFUSED = "refused"
    SILENT = "no answer"
    UNREACHABLE = "unreachable"
    NO_ROUTE = "no route"  # this machine has no way to addresses of this family


class DialError(Exception):
    """There is no connection. `cause` is a sentence without its full stop."""

    def __init__(self, fault: Fault, cause: str) -> None:
        super().__init__(cause)
        self.fault = fault
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    Which addresses may be reached besides public ones.

    Link-local, metadata, multicast and unspecified addresses never are.
    """

    allow_private: bool = False
    networks: tuple[IpNetwork, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where to, by which way, from which of our addresses, in how many seconds altogether."""

    host: str
    port: int
    policy: Policy = Policy()
    via: Via | None = None
    local_address: str | None = None
    seconds: float = 30


@dataclass(frozen=True, slots=True)
class Dialled:
    """A connected, non-blocking socket, and the address it is connected to."""

    socket: socket.socket
    ip: str
    port: int


async def system_resolver(host: str) -> list[str]:
    """The system's own resolver, in its own order (RFC 6724)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


async def dial(destination: Destination, resolver: Resolver = system_resolver) -> Dialled:
    """Resolve, check, connect. Raises DialError."""
    addresses = await find(destination, resolver)
    return await connect(destination, addresses)


async def find(destination: Destination, resolver: Resolver = system_resolver) -> list[IpAddress]:
    """The addresses that may be connected to: the proxy's if there is one. Raises DialError."""
    host = destination.via.host if destination.via else destination.host
    if destination.via:
        _check_literal(destination)
    literal = _literal(host)
    found = [literal] if literal else await _resolve(host, destination.seconds, resolver)
    allowed = [address for address in found if may_reach(address, destination.policy)]
    if not allowed:
        shown = ", ".join(map(str, found))
        raise DialError(
            Fault.FORBIDDEN_ADDRESS, f"{host} is {shown}, which pillarbox does not connect to"
        )
    return _alternating(allowed)[:_MAX_ADDRESSES]


async def connect(destination: Destination, addresses: Sequence[IpAddress]) -> Dialled:
    """
    Connect to the first of the checked addresses that answers. Raises DialError.

    The addresses are tried in turn, each a moment after the one before (RFC 8305 §5).
    """
    port = destination.via.port if destination.via else destination.port
    try:
        async with asyncio.timeout(destination.seconds):
            connected = await _first(destination, addresses, port)
            if destination.via:
                await _through(connected, destination)
    except TimeoutError:
        tried = ", ".join(map(str, addresses))
        cause = f"no answer from {tried} port {port} in {destination.seconds:g} seconds"
        raise DialError(Fault.TIMEOUT, cause) from None
    try:
        ip, peer_port = connected.getpeername()[:2]
    except OSError as error:  # it connected, and was reset before we could look
        connected.close()
        cause = f"{destination.host} port {port} closed the connection at once"
        raise DialError(Fault.REFUSED, cause) from error
    return Dialled(connected, str(ip), int(peer_port))


async def knock(destination: Destination, address: IpAddress) -> Knock:
    """Connect to one checked address and hang up at once; nothing is said. Not by a proxy."""
    try:
        async with asyncio.timeout(destination.seconds):
            opened = await _open(address, destination.port, destination)
    except TimeoutError:
        return Knock.SILENT
    except ConnectionRefusedError:
        return Knock.REFUSED
    except socket.gaierror:  # local_address is of the other family, and cannot be bound
        return Knock.NO_ROUTE
    except OSError as error:
        return Knock.NO_ROUTE if error.errno in _NO_ROUTE else Knock.UNREACHABLE
    opened.close()
    return Knock.OPEN


def may_reach(address: IpAddress, policy: Policy) -> bool:
    """Whether a connection may go there. An IPv4 address inside an IPv6 one counts as itself."""
    address = _unwrapped(address)
    if address in _METADATA or address.is_link_local or address.is_multicast:
        return False
    if address.is_unspecified or address == ipaddress.IPv4Address("255.255.255.255"):
        return False
    if isinstance(address, ipaddress.IPv4Address) and address.packed[0] == 0:
        return False  # "this network", RFC 1122 §3.2.1.3; Linux takes it for loopback
    if policy.allow_private or address.is_global:
        return True
    return any(address.version == net.version and address in net for net in policy.networks)


def is_loopback(host: str) -> bool:
    """This machine, by name (RFC 6761 §6.3) or by address. No name is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _unwrapped(address: IpAddress) -> IpAddress:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _check_literal(destination: Destination) -> None:
    """A proxy resolves names itself, but an address we can see is checked here as well."""
    literal = _literal(destination.host)
    if literal and not may_reach(literal, destination.policy):
        raise DialError(
            Fault.FORBIDDEN_ADDRESS, f"{literal} is an address pillarbox does not connect to"
        )


async def _resolve(host: str, seconds: float, resolver: Resolver) -> list[IpAddress]:
    try:
        async with asyncio.timeout(seconds):
            found = await resolver(host)
    except TimeoutError:
        cause = f"the name lookup of {host} took longer than {seconds:g} seconds"
        raise DialError(Fault.NAME_LOOKUP_FAILED, cause) from None
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
            raise DialError(Fault.NAME_NOT_FOUND, f"there is no host named {host}") from None
        cause = f"the name lookup of {host} failed: {error.strerror}"
        raise DialError(Fault.NAME_LOOKUP_FAILED, cause) from None
    except UnicodeError:
        raise DialError(Fault.NAME_NOT_FOUND, f"{host} cannot be a host name") from None
    addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(found)]
    if not addresses:
        raise DialError(Fault.NAME_NOT_FOUND, f"{host} has no address")
    return addresses


def _alternating(addresses: list[IpAddress]) -> list[IpAddress]:
    """IPv6 and IPv4 in turn, beginning with the resolver's favourite (RFC 8305 §4)."""
    first = [a for a in addresses if a.version == addresses[0].version]
    second = [a for a in addresses if a.version != addresses[0].version]
    mixed: list[IpAddress] = []
    while first or second:
        mixed += first[:1] + second[:1]
        first, second = first[1:], second[1:]
    return mixed


async def _first(
    destination: Destination, addresses: Sequence[IpAddress], port: int
) -> socket.socket:
    """The first connection that stands; the attempts that lost are closed."""
    waiting = list(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_open(waiting.pop(0), port, destination)))
            done, trying = await asyncio.wait(
                trying,
                timeout=_STAGGER if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            connected = next((task for task in done if task.exception() is None), None)
            if connected is not None:
                trying |= done - {connected}
                return connected.result()
            errors += _errors(done)
    finally:
        await _discard(trying)
    raise _failure(errors, addresses, port)


def _errors(done: set[asyncio.Task[socket.socket]]) -> list[OSError]:
    """Why these attempts failed; anything but the network's answer is a mistake of ours."""
    errors: list[OSError] = []
    for task in done:
        error = task.exception()
        if not isinstance(error, OSError):
            task.result()
        else:
            errors.append(error)
    return errors


async def _discard(tasks: set[asyncio.Task[socket.socket]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


async def _open(address: IpAddress, port: int, destination: Destination) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if destination.local_address:
            opened.bind((destination.local_address, 0))
        await asyncio.get_running_loop().sock_connect(opened, (str(address), port))
    except BaseException:
        opened.close()
        raise
    return opened


def _failure(errors: list[OSError], addresses: Sequence[IpAddress], port: int) -> DialError:
    """A refusal says the most: somebody is there and nobody listens."""
    tried = ", ".join(map(str, addresses))
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        return DialError(Fault.REFUSED, f"nothing listens at {tried} port {port}")
    if any(isinstance(error, TimeoutError) for error in errors):
        return DialError(Fault.TIMEOUT, f"no answer from {tried} port {port}")
    reason = (errors[0].strerror or "no reason given") if errors else "no address"
    return DialError(Fault.UNREACHABLE, f"{tried} port {port} cannot be reached: {reason}")


async def _through(connected: socket.socket, destination: Destination) -> None:
    """Play the proxy's dialogue; the socket is closed if it does not end well."""
    assert destination.via is not None
    try:
        await _play(connected, ask(destination.via, destination.host, destination.port))
    except (ProxyRefused, ValueError) as refused:
        connected.close()
        raise DialError(Fault.PROXY, str(refused)) from None
    except OSError:
        connected.close()
        raise DialError(Fault.PROXY, "the proxy closed the connection") from None
    except BaseException:
        connected.close()
        raise


async def _play(connected: socket.socket, dialogue: ProxyDialogue) -> None:
    loop = asyncio.get_running_loop()
    heard = b""
    while True:
        try:
            step = dialogue.send(heard) if heard else next(dialogue)
        except StopIteration:
            return
        heard = b""
        if isinstance(step, bytes):
            await loop.sock_sendall(connected, step)
            continue
        while len(heard) < step:
            octets = await loop.sock_recv(connected, step - len(heard))
            if not octets:
                raise ConnectionResetError
            heard += octets
