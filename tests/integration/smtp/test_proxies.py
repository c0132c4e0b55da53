"""Through proxies: they are asked for the relay by name, and their refusals are values."""

from __future__ import annotations

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.secret import Secret
from pillarbox.mail.outcome import Failed, Loss, Lost, Stage
from pillarbox.smtp.endpoint import Endpoint, Proxy, ProxyKind, TlsMode
from pillarbox.smtp.session import Session, open_session
from pillarbox.smtp.transcript import Transcript
from support.proxies import http_proxy, socks5_proxy
from support.scripted_relay import scripted_relay

HELLO = """
    S: 220 relay.test ESMTP
    C: EHLO localhost
    S: 250 relay.test
"""


def _endpoint(kind: ProxyKind, proxy_port: int, port: int) -> Endpoint:
    proxy = Proxy(
        kind=kind, host="127.0.0.1", port=proxy_port, username="joe", password=Secret("s3cret")
    )
    return Endpoint(host="relay.test", port=port, tls=TlsMode.NONE, proxy=proxy)


@pytest.mark.parametrize("kind", ProxyKind)
async def test_the_proxy_is_asked_for_the_relay_by_name(kind: ProxyKind) -> None:
    """With our credentials for the proxy, which the transcript does not hold."""
    proxy = http_proxy() if kind is ProxyKind.HTTP else socks5_proxy(wants_login=True)
    transcript = Transcript(SystemClock())
    async with scripted_relay(HELLO) as relay, proxy as asked:
        session = await open_session(_endpoint(kind, asked.port, relay.port), transcript=transcript)
        assert isinstance(session, Session)
        await session.quit()

    assert asked.targets == [f"relay.test:{relay.port}"]
    assert asked.logins == ["joe:s3cret"]
    assert "s3cret" not in str(transcript)


@pytest.mark.parametrize("kind", ProxyKind)
async def test_a_proxy_that_says_no_is_a_failure_at_the_proxy(kind: ProxyKind) -> None:
    """Neither the relay's nor the mail's fault, and it says what the proxy said."""
    proxy = http_proxy(refuses=b"403 no") if kind is ProxyKind.HTTP else socks5_proxy(reply=2)
    async with proxy as asked:
        failed = await open_session(
            _endpoint(kind, asked.port, 25), transcript=Transcript(SystemClock())
        )

    assert isinstance(failed, Failed)
    assert failed.stage is Stage.PROXY
    assert isinstance(failed.answer, Lost)
    assert failed.answer.loss is Loss.PROXY
    assert "403 no" in failed.answer.cause or "rules" in failed.answer.cause
