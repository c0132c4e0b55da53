"""From an endpoint to a wire that may be talked on: resolve, connect, TLS, pin."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass

from pillarbox.base import dial
from pillarbox.base.proxy import Protocol, Via
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Stage
from pillarbox.smtp import sasl, tls
from pillarbox.smtp.endpoint import Endpoint, Proxy, TlsMode
from pillarbox.smtp.transcript import Transcript
from pillarbox.smtp.wire import Wire

_LOSSES = {fault: Loss(fault.value) for fault in dial.Fault}


@dataclass(slots=True)
class Connection:
    """A wire, and what is known about its other end. tls is None while it is in the clear."""

    wire: Wire
    ip: str
    port: int
    tls: tls.TlsFacts | None = None

    async def upgrade(self, endpoint: Endpoint, transcript: Transcript) -> Lost | None:
        """TLS on a connection that began without it (RFC 3207 §4). The pin is checked here."""
        context, seconds = tls.context_for(endpoint.trust), endpoint.deadlines.connect
        lost = await self.wire.upgrade(context, _server_name(endpoint), seconds)
        return lost or self.look_at_certificate(endpoint, transcript)

    def look_at_certificate(self, endpoint: Endpoint, transcript: Transcript) -> Lost | None:
        """Before anything is said over TLS. A wrong pin closes the socket."""
        connection = self.wire.transport.get_extra_info("ssl_object")
        assert isinstance(connection, ssl.SSLObject)
        facts = tls.facts_of(connection)
        transcript.note(Stage.TLS, f"{facts.version}, {facts.cipher}, {facts.subject}")
        lost = tls.mismatch(endpoint.trust, facts)
        if lost:
            self.wire.abort(lost)
            return lost
        self.tls = facts
        return None


async def connect(
    endpoint: Endpoint, transcript: Transcript, resolver: dial.Resolver
) -> Connection | Failed:
    """Up to the moment before the greeting. Raises Invalid for PEM text that cannot be used."""
    context = tls.context_for(endpoint.trust) if endpoint.tls is not TlsMode.NONE else None
    destination = _destination(endpoint)
    stage = Stage.DNS
    try:
        transcript.note(stage, f"looking for {(destination.via or destination).host}")
        addresses = await dial.find(destination, resolver)
        transcript.note(stage, ", ".join(map(str, addresses)))
        stage = Stage.CONNECT
        dialled = await dial.connect(destination, addresses)
    except dial.DialError as error:
        stage = Stage.PROXY if error.fault is dial.Fault.PROXY else stage
        return _failed(stage, Lost(_LOSSES[error.fault], error.cause), transcript)
    transcript.note(stage, f"connected to {dialled.ip} port {dialled.port}")
    is_implicit = endpoint.tls is TlsMode.IMPLICIT
    opened = await _open_wire(dialled, endpoint, context if is_implicit else None)
    if isinstance(opened, Lost):
        return _failed(Stage.TLS, opened, transcript)
    connection = Connection(opened, dialled.ip, dialled.port)
    lost = connection.look_at_certificate(endpoint, transcript) if is_implicit else None
    return _failed(Stage.TLS, lost, transcript) if lost else connection


async def _open_wire(
    dialled: dial.Dialled, endpoint: Endpoint, context: ssl.SSLContext | None
) -> Wire | Lost:
    loop = asyncio.get_running_loop()
    wire = Wire(loop)
    try:
        await loop.create_connection(
            lambda: wire,
            sock=dialled.socket,
            ssl=context,
            server_hostname=_server_name(endpoint) if context else None,
            ssl_handshake_timeout=endpoint.deadlines.connect if context else None,
        )
    except OSError as error:
        dialled.socket.close()
        return tls.loss_of(error)
    return wire


def _server_name(endpoint: Endpoint) -> str:
    return endpoint.trust.server_name or endpoint.host


def _destination(endpoint: Endpoint) -> dial.Destination:
    return dial.Destination(
        host=endpoint.host,
        port=endpoint.port,
        policy=dial.Policy(
            allow_private=endpoint.allow_private,
            networks=tuple(map(ipaddress.ip_network, endpoint.allow_networks)),
        ),
        via=_via(endpoint.proxy) if endpoint.proxy else None,
        local_address=endpoint.local_address,
        seconds=endpoint.deadlines.connect,
    )


def _via(proxy: Proxy) -> Via:
    protocol = Protocol(proxy.kind.value)
    login = sasl.proxy_login(proxy)
    return Via(protocol=protocol, host=proxy.host, port=proxy.port, login=login)


def _failed(stage: Stage, lost: Lost, transcript: Transcript) -> Failed:
    transcript.note(stage, lost.cause)
    return Failed(stage, Blame.RELAY, permanent=False, answer=lost)
