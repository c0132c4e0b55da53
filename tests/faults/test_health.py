"""/readyz and /livez, with what they are about really broken."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from pillarbox.app import open_app
from pillarbox.base.config import Config
from pillarbox.base.http import IN_PROCESS, Ask, Http
from pillarbox.delivery import supervisor
from support.program import Program, program
from support.waiting import until


def test_a_database_that_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    """No file may grow any more: /readyz says so while /livez is content, or the server ends."""
    with program(tmp_path) as box:
        assert box.ask("GET", "/readyz").status == 200
        resource.prlimit(box.pid, resource.RLIMIT_FSIZE, (0, 0))

        until(lambda: box.ended() is not None or _refuses(box), what="not being ready")

        if box.ended() is None:
            assert box.ask("GET", "/livez").status == 200
        else:
            assert box.ended() == 4


def _refuses(box: Program) -> bool:
    try:
        told = box.ask("GET", "/readyz")
    except OSError:
        return box.ended() is not None
    return told.status == 503 and told.body["checks"][0]["ok"] is False


async def test_a_dead_supervisor_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of deliveries is gone, so nothing can be carried: the process says it."""
    monkeypatch.setattr(supervisor, "_STUCK_SECONDS", 2.0)
    async with open_app(Config(home=tmp_path / "home")) as app:
        http = Http(IN_PROCESS, asgi=app.asgi)
        assert (await http.ask(Ask(method="GET", path="/readyz"))).status == 200
        await app.desk.database.write(lambda each: each.execute(text("DROP TABLE attempts")))
        await app.desk.database.write(lambda each: each.execute(text("DROP TABLE deliveries")))
        for _ in range(200):
            answer = await http.ask(Ask(method="GET", path="/readyz"))
            if answer.status == 503:
                break
            await app.desk.clock.sleep(0.05)
        livez = await http.ask(Ask(method="GET", path="/livez"))
        await http.close()

    assert answer.status == 503
    assert answer.json["checks"][1] == {
        "name": "worker",
        "ok": False,
        "detail": "mail is not being carried at the moment",
    }
    assert livez.status == 200


def test_only_a_stuck_process_is_not_alive(tmp_path: Path) -> None:
    """Stopped by a signal it says nothing; when it goes on, it is alive and ready as before."""
    with program(tmp_path) as box:
        os.kill(box.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                box.ask("GET", "/livez")
        finally:
            os.kill(box.pid, signal.SIGCONT)
        assert box.ask("GET", "/livez").status == 200
        until(box.is_ready, what="being ready again")
