"""
A mail provider's server that speaks in the provider's own sentences, and can be changed while it
serves: as by its administrator, who renews a certificate or allows a sender.
"""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Sentence = str | tuple[str, ...]
"""A reply: code and text, or all lines of it, `("535-5.7.8 No.", "535 5.7.8 Look there.")`."""


@dataclass(slots=True)
class Provider:
    """
    What it is like. accounts are user names and passwords; instead is what it answers to a verb
    whatever is said; senders, where not empty, are the only addresses it takes in MAIL.
    """

    name: str
    context: ssl.SSLContext | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    senders: set[str] = field(default_factory=set)
    needs_login: bool = True
    wrong_login: Sentence = "535 5.7.8 Authentication failed"
    not_logged_in: Sentence = "530 5.7.0 Authentication required"
    wrong_sender: Sentence = "553 5.7.1 Sender address rejected: not owned by user"
    instead: dict[str, Sentence] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    """Verbs, in the order they came."""


@contextmanager
def serving(provider: Provider, tls: Literal["implicit", "starttls", "none"]) -> Iterator[int]:
    """One of its doors, until the block ends: the port on 127.0.0.1."""

    class Talk(_Talk):
        manners = provider
        mode = tls

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Talk(socketserver.StreamRequestHandler):
    manners: Provider
    mode: str
    timeout = 30
    disable_nagle_algorithm = True

    def handle(self) -> None:
        # Whoever hangs up, or does not believe the certificate, ends the talk.
        with suppress(OSError):
            self._talk()

    def _talk(self) -> None:
        self._is_secure = False
        self._is_in = not self.manners.needs_login
        if self.mode == "implicit":
            self._secure()
        self._say(f"220 {self.manners.name} ESMTP")
        while line := self.rfile.readline(2_000).decode("utf-8", "replace").strip():
            verb, _, rest = line.partition(" ")
            self.manners.heard.append(verb.upper())
            answer = self.manners.instead.get(verb.upper()) or self._answers(verb.upper(), rest)
            self._say(answer)
            if verb.upper() == "STARTTLS":
                self._secure()
            if verb.upper() == "QUIT":
                return

    def _answers(self, verb: str, rest: str) -> Sentence:
        known: Mapping[str, Callable[[str], Sentence]] = {
            "EHLO": self._ehlo,
            "STARTTLS": lambda _: "220 2.0.0 Ready to start TLS",
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": lambda _: "250 2.1.5 OK",
            "RSET": lambda _: "250 2.0.0 OK",
            "QUIT": lambda _: "221 2.0.0 closing connection",
        }
        return known[verb](rest) if verb in known else "502 5.5.1 Unrecognized command"

    def _ehlo(self, _: str) -> Sentence:
        offers = ["PIPELINING", "8BITMIME", "SIZE 35882577", "ENHANCEDSTATUSCODES"]
        if self.mode == "starttls" and not self._is_secure:
            offers.append("STARTTLS")
        elif self.manners.accounts:
            offers.append("AUTH LOGIN PLAIN")
        lines = [self.manners.name, *offers]
        return (*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def _auth(self, rest: str) -> Sentence:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "LOGIN":
            name = _decoded(self._ask("VXNlcm5hbWU6"))
            word = _decoded(self._ask("UGFzc3dvcmQ6"))
        else:
            _, name, word = _decoded(initial or self._ask("")).split("\0")
        self._is_in = self.manners.accounts.get(name) == word
        return "235 2.7.0 Accepted" if self._is_in else self.manners.wrong_login

    def _mail(self, rest: str) -> Sentence:
        if not self._is_in:
            return self.manners.not_logged_in
        address = rest.partition("<")[2].partition(">")[0]
        is_theirs = not self.manners.senders or address in self.manners.senders
        return "250 2.1.0 OK" if is_theirs else self.manners.wrong_sender

    def _ask(self, challenge: str) -> str:
        self._say(f"334 {challenge}")
        return self.rfile.readline(2_000).decode().strip()

    def _secure(self) -> None:
        assert self.manners.context is not None
        self.connection = self.manners.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self._is_secure = True

    def _say(self, sentence: Sentence) -> None:
        lines = (sentence,) if isinstance(sentence, str) else sentence
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
