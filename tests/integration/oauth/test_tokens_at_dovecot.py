"""Our sessions and an access token at Dovecot, which asks the authorization server about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.secret import Secret
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Blame, Failed, Relayed, Stage
from pillarbox.mail.reply import Reply
from pillarbox.smtp.endpoint import Credentials, Endpoint, Mechanism, TlsMode, Trust
from pillarbox.smtp.session import Session, open_session
from pillarbox.smtp.transcript import Transcript
from support.authorization_server import (
    MAILBOX,
    AuthorizationServer,
    authorization_server,
)
from support.dovecot import Dovecot, dovecot
from support.ledger_relay import LedgerRelay, ledger_relay
from support.waiting import until

CONTENT = b"Subject: x\r\n\r\nhello\r\n"
BOTH = pytest.mark.parametrize("mechanism", [Mechanism.XOAUTH2, Mechanism.OAUTHBEARER])

_REASONS = {
    Mechanism.XOAUTH2: "status 401, scope mail",
    Mechanism.OAUTHBEARER: "status invalid_token",
}
_ANSWERS = {Mechanism.XOAUTH2: "C: ", Mechanism.OAUTHBEARER: "C: (secret)"}


@dataclass(frozen=True, slots=True)
class Provider:
    """Where mail goes, who is asked about tokens, and what lies behind."""

    dovecot: Dovecot
    tokens: AuthorizationServer
    onward: LedgerRelay

    async def meet(
        self,
        token: str,
        *,
        username: str = MAILBOX,
        mechanism: Mechanism | None = None,
        tls: TlsMode = TlsMode.STARTTLS,
    ) -> tuple[Session | Failed, Transcript]:
        """A session as a relay with this token would open it, and what was said."""
        ports = {
            TlsMode.STARTTLS: self.dovecot.starttls_port,
            TlsMode.IMPLICIT: self.dovecot.implicit_port,
        }
        trust = Trust(authorities=self.dovecot.ca_pem.read_text())
        endpoint = Endpoint(host="localhost", port=ports[tls], tls=tls, trust=trust)
        account = Credentials(
            username=username, secret=Secret(token), is_token=True, mechanism=mechanism
        )
        transcript = Transcript(SystemClock())
        return await open_session(endpoint, account, transcript=transcript), transcript


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with (
        ledger_relay(tmp_path) as onward,
        authorization_server(tmp_path) as tokens,
        dovecot(tmp_path, tokens, onward_port=onward.port) as server,
    ):
        yield Provider(server, tokens, onward)


@BOTH
@pytest.mark.parametrize("tls", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
async def test_a_good_token_lets_mail_through(
    provider: Provider, mechanism: Mechanism, tls: TlsMode
) -> None:
    """By each mechanism and port: signed in as the mailbox, and the mail arrives behind it."""
    token = provider.tokens.issue().access_token
    session, _ = await provider.meet(token, mechanism=mechanism, tls=tls)
    assert isinstance(session, Session), session
    to = Address.parse("ann@b.example")
    envelope = Envelope(Address.parse(MAILBOX), (to,))

    outcomes = await session.transact(envelope, Content.pass_gate(CONTENT))
    await session.quit()

    assert isinstance(outcomes[to], Relayed), outcomes
    [entry] = provider.onward.wait_entries(1)
    assert (entry.sender, entry.recipient) == (MAILBOX, "ann@b.example")
    assert provider.dovecot.logins() == [f"{MAILBOX} {mechanism.value}"]


@BOTH
@pytest.mark.parametrize("ends", ["by lifetime", "by its server", "with the consent"])
async def test_a_token_that_has_ended_is_told_in_a_challenge_and_then_refused(
    provider: Provider, mechanism: Mechanism, ends: str
) -> None:
    """334 with JSON, which wants an answer, then 535: about the relay, never about the mail."""
    if ends == "by lifetime":
        provider.tokens.set_lifetimes(access=1)
    token = provider.tokens.issue().access_token
    if ends == "by lifetime":
        until(lambda: not provider.tokens.introspect(token)["active"], what="the token's end")
    if ends == "by its server":
        provider.tokens.expire_access_tokens()
    if ends == "with the consent":
        provider.tokens.revoke(MAILBOX)

    failed, transcript = await provider.meet(token, mechanism=mechanism)

    refused_at_auth(failed, transcript, mechanism)
    assert provider.dovecot.logins() == []


@BOTH
async def test_a_token_opens_its_own_mailbox_only(provider: Provider, mechanism: Mechanism) -> None:
    """Somebody else's token with our name is refused, good as it is."""
    token = provider.tokens.issue("somebody-else@pillarbox.test").access_token

    failed, transcript = await provider.meet(token, mechanism=mechanism)

    refused_at_auth(failed, transcript, mechanism)


async def test_a_fresh_token_is_taken_where_the_old_one_was_refused(provider: Provider) -> None:
    """The provider holds no grudge, so one refresh after a 535 is worth the try."""
    old = provider.tokens.issue().access_token
    provider.tokens.expire_access_tokens()
    refused, _ = await provider.meet(old)
    assert isinstance(refused, Failed)

    session, transcript = await provider.meet(provider.tokens.issue().access_token)

    assert isinstance(session, Session), transcript.lines()
    assert session.mechanism is Mechanism.XOAUTH2
    await session.quit()


def refused_at_auth(failed: Session | Failed, transcript: Transcript, mechanism: Mechanism) -> None:
    """535 after a challenge that was answered as the mechanism wants; no token is on record."""
    assert isinstance(failed, Failed)
    assert (failed.stage, failed.blame, failed.permanent) == (Stage.AUTH, Blame.RELAY, False)
    assert isinstance(failed.answer, Reply)
    assert failed.answer.code == 535
    said = str(transcript).splitlines()
    at = said.index("S: 334 (challenge)")
    assert said[at + 1 : at + 4] == [
        f"*: the relay refused the token: {_REASONS[mechanism]}",
        _ANSWERS[mechanism],
        "S: 535 5.7.8 Authentication failed.",
    ]
