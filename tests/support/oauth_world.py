"""A mail provider with tokens, and the installed program with a relay that signs in there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.authorization_server import (
    CLIENT,
    CLIENT_SECRET,
    MAILBOX,
    SCOPES,
    AuthorizationServer,
    Options,
    authorization_server,
)
from support.browser import allow, person
from support.dovecot import Dovecot, dovecot
from support.ledger_relay import Entry, LedgerRelay, ledger_relay
from support.program import Answer, Program, new_program
from support.waiting import until

RELAY = "main"


@dataclass(frozen=True, slots=True)
class World:
    """tokens says yes or no, dovecot asks it, what dovecot takes is in the ledger of onward."""

    box: Program
    key: str
    tokens: AuthorizationServer
    dovecot: Dovecot
    onward: LedgerRelay

    def add_relay(self, **more: Any) -> None:
        """A relay to Dovecot that gets its tokens by a consent in the browser, unless said."""
        settings = {
            "name": RELAY,
            "host": self.dovecot.host,
            "port": self.dovecot.starttls_port,
            "tls": "starttls",
            "authorities": self.dovecot.ca_pem.read_text(),
            "from": MAILBOX,
            "auth": "oauth2",
            "username": MAILBOX,
            "provider": "custom",
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "authorize_url": self.tokens.authorize_url,
            "token_url": self.tokens.token_url,
            "issuer": self.tokens.issuer,
            "scopes": " ".join(SCOPES),
            "default": True,
        }
        wanted = {name: value for name, value in (settings | more).items() if value is not None}
        self.ask("POST", "/v1/relays", wanted, expecting=201)

    def begin(self) -> Mapping[str, Any]:
        """What a person is told to do."""
        return dict(self.ask("POST", f"/v1/relays/{RELAY}/consent", expecting=200).body)

    def consent(self) -> Mapping[str, Any]:
        """How the tokens of the relay do."""
        return dict(self.ask("GET", f"/v1/relays/{RELAY}/consent", expecting=200).body)

    def wait_consent(self, state: str, *, seconds: float = 20) -> Mapping[str, Any]:
        return until(
            lambda: (told := self.consent())["state"] == state and told,
            seconds=seconds,
            what=f"a consent that is {state}",
        )

    async def connect(self, account: str = MAILBOX) -> str:
        """A person opens the address, signs in, says yes; what the last page shows."""
        url = self.begin()["authorize_url"]
        async with person() as page:
            await page.goto(url)
            await allow(page, account)
            await page.wait_for_url(f"{self.box.url}/**")
            return await page.locator("body").inner_text()

    def send(self, *recipients: str) -> list[str]:
        """One message to each, all accepted in one commit; their ids."""
        hello = {"subject": "A journey", "text": "There and back."}
        wanted = {"messages": [hello | {"to": [recipient]} for recipient in recipients]}
        told = self.ask("POST", "/v1/messages/batch", wanted, expecting=200).body["data"]
        assert [each["status"] for each in told] == [202] * len(recipients), told
        return [str(each["message"]["id"]) for each in told]

    def state_of(self, message_id: str) -> str:
        return str(self.ask("GET", f"/v1/messages/{message_id}", expecting=200).body["state"])

    def relay_state(self) -> str:
        told = self.ask("GET", f"/v1/relays/{RELAY}", expecting=200).body
        return str(told["status"]["state"])

    def arrived(self, count: int) -> list[Entry]:
        """What came out behind Dovecot, once it is this many."""
        try:
            return self.onward.wait_entries(count)
        except TimeoutError as late:
            said = f"{late}\n{self.box.transcript()}\n{self.dovecot.transcript()[-3000:]}"
            raise AssertionError(said) from None

    def ask(self, method: str, path: str, body: Any = None, *, expecting: int) -> Answer:
        answer = self.box.ask(method, path, body, key=self.key)
        assert answer.status == expecting, f"{method} {path}: {answer.status} {answer.body}"
        return answer


@contextmanager
def oauth_world(tmp_path: Path, *serve: str, **environment: str) -> Iterator[World]:
    """Everything runs until the block ends. The relay is not added yet. serve: its arguments."""
    box = new_program(tmp_path, **environment)
    callback = f"{box.url}/oauth/callback"
    with (
        ledger_relay(tmp_path) as onward,
        authorization_server(tmp_path, Options(redirect_uris=(callback,))) as tokens,
        dovecot(tmp_path, tokens, onward_port=onward.port) as server,
    ):
        try:
            box.start(*serve)
            yield World(box, box.new_key(), tokens, server, onward)
        finally:
            box.kill9()
