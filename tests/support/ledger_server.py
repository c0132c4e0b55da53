"""
An SMTP server that writes down what it takes before it says so. Run as a program of its own.

What it does with a recipient is written in the address, see `Wish`. Everything it answers 250
to is in the ledger first, on stable storage: what is missing there was never taken.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LOCAL_PART = re.compile(
    r"(?P<once>once-)?"
    r"(?:(?P<rcpt>(?:fail|defer)-(?P<code>[45]\d\d))"
    r"|dot-(?P<dot>[45]\d\d)"
    r"|slow-(?P<slow>\d+)|wait-(?P<wait>\d+)|drag-(?P<drag>\d+)"
    r"|drop-(?P<drop>at-rcpt|at-data|before-dot|at-dot|after-dot))"
    r"(?:-.*)?"
)
_ID = re.compile(rb"^(message-id|x-pillarbox-id):[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)", re.I | re.M)
_END = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What an address asks for, by its local part; anything may follow after another hyphen.

        fail-550 · defer-451    that code to RCPT
        dot-554 · dot-451       that code after the final dot, nothing kept
        slow-250                250 ms before the answer to the final dot
        wait-250                250 ms before 354
        drag-250                250 ms after 354 in which nothing is read
        drop-at-rcpt · drop-at-data · drop-before-dot    hang up there
        drop-at-dot             read everything, keep nothing, hang up
        drop-after-dot          keep it, hang up without an answer
        once-…                  any of these, the first time this address asks

    Any other local part is taken at once.
    """

    rcpt_code: int = 0
    dot_code: int = 0
    slow_seconds: float = 0
    wait_seconds: float = 0
    drag_seconds: float = 0
    drop: str = ""


def wish_of(address: str, seen: set[str]) -> Wish:
    """Reads the address; `seen` remembers who asked for something once."""
    found = _LOCAL_PART.fullmatch(address.partition("@")[0])
    if not found or (found["once"] and address in seen):
        return Wish()
    seen.add(address)
    return Wish(
        int(found["code"] or 0),
        int(found["dot"] or 0),
        int(found["slow"] or 0) / 1000,
        int(found["wait"] or 0) / 1000,
        int(found["drag"] or 0) / 1000,
        found["drop"] or "",
    )


class Ledger:
    """An append-only file. Everybody who waits at the moment shares one fsync."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: list[bytes] = []
        self._then: list[Callable[[], None]] = []

    def append(self, entries: list[dict[str, Any]], then: Callable[[], None]) -> None:
        """Write the entries; call `then` once they are on stable storage."""
        if not self._then:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines += [json.dumps(entry).encode() + b"\n" for entry in entries]
        self._then.append(then)

    def _flush(self) -> None:
        lines, then = self._lines, self._then
        self._lines, self._then = [], []
        os.write(self._file, b"".join(lines))
        os.fsync(self._file)
        for call in then:
            call()


class Server(asyncio.Protocol):
    """One connection. Commands are answered in order, several per packet if they come so."""

    def __init__(self, options: dict[str, Any], ledger: Ledger, seen: set[str]) -> None:
        self._options = options
        self._ledger = ledger
        self._seen = seen
        self._buffer = bytearray()
        self._waits = False  # for a delay, a handshake or the disk
        self._lines: Callable[[bytes], None] = self._command
        self._in_content = False
        self._secure = options["tls"] == "implicit"
        self._login = not options["username"]
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._taken: list[str] = []
        self._wishes: list[Wish] = []

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        is_upgrade = self._waits
        self._transport = transport
        if not is_upgrade:
            self._later(b"220 ledger.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        while self._buffer and not self._waits and not self._transport.is_closing():
            if not (self._take_content() if self._in_content else self._take_line()):
                return

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._lines(line)
        return True

    def _take_content(self) -> bool:
        if any(wish.drop == "before-dot" for wish in self._wishes):
            self._transport.abort()
            return False
        if self._buffer.startswith(b".\r\n"):
            content, length = b"", 3
        else:
            end = self._buffer.find(_END)
            if end < 0:
                return False
            content, length = bytes(self._buffer[: end + 2]), end + len(_END)
        del self._buffer[:length]
        self._in_content = False
        self._end_of_data(content)
        return True

    # What a client says.

    def _command(self, line: bytes) -> None:
        verb, _, rest = line.decode("utf-8", "replace").partition(" ")
        known = getattr(self, f"_{verb.lower()}", None)
        if verb.upper() not in _VERBS or known is None:
            self._later(b"500 5.5.1 what\r\n")
        else:
            known(rest)

    def _helo(self, _: str) -> None:
        self._later(b"250 ledger.test\r\n")

    def _ehlo(self, _: str) -> None:
        lines = ["ledger.test", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"]
        lines += ["SMTPUTF8"] if self._options["smtputf8"] else []
        lines.append(f"SIZE {self._options['size']}")
        if self._options["tls"] == "starttls" and not self._secure:
            lines.append("STARTTLS")
        elif self._options["username"]:
            lines.append("AUTH PLAIN LOGIN")
        marked = [f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
        self._later("".join(marked).encode())

    def _starttls(self, _: str) -> None:
        if self._secure or self._options["tls"] != "starttls":
            self._later(b"503 5.5.1 not now\r\n")
            return
        self._transport.write(b"220 2.0.0 go\r\n")
        self._buffer.clear()  # RFC 3207 §4.2: what came before the handshake is forgotten
        self._waits = True
        self._handshake = asyncio.ensure_future(self._secure_it())

    async def _secure_it(self) -> None:
        loop = asyncio.get_running_loop()
        context = server_context(self._options)
        try:
            transport = await loop.start_tls(self._transport, self, context, server_side=True)
        except (OSError, ssl.SSLError):
            self._transport.abort()
            return
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._secure = True
        self._waits = False
        self._reset()
        self._advance()

    def _auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN" and initial:
            self._check(_decoded(initial).split("\0")[1:])
        elif mechanism.upper() == "PLAIN":
            self._ask(b"", lambda line: self._check(_decoded(line).split("\0")[1:]))
        elif mechanism.upper() == "LOGIN":
            self._ask(
                b"VXNlcm5hbWU6",
                lambda name: self._ask(
                    b"UGFzc3dvcmQ6",
                    lambda word: self._check([_decoded(name), _decoded(word)]),
                ),
            )
        else:
            self._later(b"504 5.5.4 no such mechanism\r\n")

    def _ask(self, challenge: bytes, then: Callable[[str], None]) -> None:
        def answered(line: bytes) -> None:
            self._lines = self._command
            then(line.decode())

        self._lines = answered
        self._later(b"334 " + challenge + b"\r\n")

    def _check(self, given: list[str]) -> None:
        self._login = given == [self._options["username"], self._options["password"]]
        self._later(b"235 2.7.0 hello\r\n" if self._login else b"535 5.7.8 no\r\n")

    def _mail(self, rest: str) -> None:
        if not self._login:
            self._later(b"530 5.7.0 sign in first\r\n")
            return
        self._reset()
        self._sender = rest[rest.index("<") + 1 : rest.index(">")]
        self._later(b"250 2.1.0 ok\r\n")

    def _rcpt(self, rest: str) -> None:
        if self._sender is None:
            self._later(b"503 5.5.1 MAIL first\r\n")
            return
        address = rest[rest.index("<") + 1 : rest.index(">")]
        wish = wish_of(address, self._seen)
        if wish.drop == "at-rcpt":
            self._transport.abort()
        elif wish.rcpt_code:
            kind = wish.rcpt_code // 100
            self._later(b"%d %d.1.1 as you wish\r\n" % (wish.rcpt_code, kind))
        else:
            self._taken.append(address)
            self._wishes.append(wish)
            self._later(b"250 2.1.5 ok\r\n")

    def _data(self, _: str) -> None:
        if not self._taken:
            self._later(b"554 5.5.1 no valid recipients\r\n")
        elif any(wish.drop == "at-data" for wish in self._wishes):
            self._transport.abort()
        else:
            self._in_content = True
            self._drag(max(wish.drag_seconds for wish in self._wishes))
            self._later(b"354 go\r\n", max(wish.wait_seconds for wish in self._wishes))

    def _drag(self, seconds: float) -> None:
        """Read nothing for so long. What is sent all the same is more than fits in between."""
        if seconds:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._transport.resume_reading)

    def _end_of_data(self, content: bytes) -> None:
        drops = {wish.drop for wish in self._wishes}
        code = max((wish.dot_code for wish in self._wishes), default=0)
        if "at-dot" in drops:
            self._transport.abort()
        elif code:
            self._later(b"%d %d.3.0 as you wish\r\n" % (code, code // 100))
        else:
            slow = max(wish.slow_seconds for wish in self._wishes)
            self._waits = True
            self._ledger.append(
                self._entries(content), lambda: self._kept("after-dot" in drops, slow)
            )
        self._reset()

    def _kept(self, drop: bool, slow: float) -> None:
        self._waits = False
        if drop:
            self._transport.abort()
            return
        self._later(b"250 2.0.0 in the ledger\r\n", slow)
        self._advance()

    def _entries(self, content: bytes) -> list[dict[str, Any]]:
        if content.startswith(b"."):
            content = content[1:]
        content = content.replace(b"\r\n.", b"\r\n")
        head = content.partition(b"\r\n\r\n")[0]
        ids = {name.lower(): value.decode("utf-8", "replace") for name, value in _ID.findall(head)}
        entry = {
            "message_id": ids.get(b"message-id", ""),
            "pillarbox_id": ids.get(b"x-pillarbox-id", ""),
            "sha256": hashlib.sha256(content).hexdigest(),
            "sender": self._sender,
        }
        return [entry | {"recipient": recipient} for recipient in self._taken]

    def _rset(self, _: str) -> None:
        self._reset()
        self._later(b"250 2.0.0 ok\r\n")

    def _noop(self, _: str) -> None:
        self._later(b"250 2.0.0 ok\r\n")

    def _quit(self, _: str) -> None:
        self._transport.write(b"221 2.0.0 bye\r\n")
        self._transport.close()

    # What it answers.

    def _later(self, answer: bytes, seconds: float = 0) -> None:
        """Answer after the latency of this server; nothing more is read until then."""
        seconds += self._options["latency_seconds"]
        if not seconds:
            self._transport.write(answer)
            return
        self._waits = True
        asyncio.get_running_loop().call_later(seconds, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        self._waits = False
        self._transport.write(answer)
        self._advance()


_VERBS = {"HELO", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"}


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def server_context(options: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options["certificate"])
    return context


async def serve(options: dict[str, Any]) -> None:
    """Print the port, then serve until standard input ends."""
    loop = asyncio.get_running_loop()
    ledger, seen = Ledger(options["ledger"]), set[str]()
    context = server_context(options) if options["tls"] == "implicit" else None
    server = await loop.create_server(
        lambda: Server(options, ledger, seen),
        "127.0.0.1",
        options["port"],
        ssl=context,
        backlog=1024,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(0, 64) else ended.set())
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
