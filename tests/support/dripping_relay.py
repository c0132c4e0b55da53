"""A relay that never comes to the end of its greeting: an octet each second, to everybody."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from support.peers import free_ports

_PAUSE_SECONDS = 1.0
_GREETING = b"220-this takes a while "


@contextmanager
def dripping_relay() -> Iterator[int]:
    """Its port, for the length of the block."""
    (port,) = free_ports(1)
    ended = threading.Event()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        listener.setblocking(False)
        clients: list[socket.socket] = []

        def drip() -> None:
            said = 0
            while not ended.wait(_PAUSE_SECONDS):
                with suppress(BlockingIOError):
                    while True:
                        clients.append(stack.enter_context(listener.accept()[0]))
                for client in clients:
                    with suppress(OSError):
                        client.send(_GREETING[said % len(_GREETING) :][:1])
                said += 1

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            ended.set()
            thread.join()
