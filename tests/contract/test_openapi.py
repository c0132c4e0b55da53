"""The API does what its published description says, also when it is asked nonsense."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import InvalidArgument, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Listen
from pillarbox.inlets.http.openapi import describe
from pillarbox.inlets.http.server import Server, build
from support.desk import Counter, open_counter


class Running:
    """A server in a thread of its own, so that blocking tests can ask it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.counter: Counter
        self.server: Server

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            opened = open_counter(self._folder, SystemClock())
            self.counter = await stack.enter_async_context(opened)
            self.server = Server(self.counter.app, Listen("127.0.0.1", 0))
            self._ready.set()
            await self.server.run()

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._thread.join(20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("openapi")) as server:
        yield server


_DESCRIPTION = schemathesis.openapi.from_dict(describe(build(cast("Any", None))))
_OPERATIONS = {
    each.ok().label: each.ok()
    for each in _DESCRIPTION.get_all_operations()
    # A diagnosis asks other hosts, and a stream has no end.
    if not each.ok().path.endswith(("/diagnose", "/stream"))
}

_IS_THOROUGH = settings.get_current_profile_name() == "thorough"

# An address, a host name or a relay that exists is more than a schema can ask for.
_EXCLUDED = [positive_data_acceptance]
# A bad message in a batch is named in the answer, and the others are taken.
_EXCLUDED_OF = {"POST /v1/messages/batch": [positive_data_acceptance, negative_data_rejection]}


@pytest.mark.parametrize("label", _OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_what_is_published_is_what_happens(
    label: str, mode: GenerationMode, running: Running
) -> None:
    """Status, media type and shape of every answer; nothing the schema forbids is taken."""
    headers = {"Authorization": f"Bearer {running.counter.key}"}
    excluded = _EXCLUDED_OF.get(label, _EXCLUDED)
    asked = 0

    @given(case=_OPERATIONS[label].as_strategy(generation_mode=mode))
    @settings(
        max_examples=10,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=not _IS_THOROUGH,  # the same requests each time; HYPOTHESIS_PROFILE varies them
    )
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(base_url=running.url, headers=headers, excluded_checks=excluded)

    try:
        ask()
    except (Unsatisfiable, InvalidArgument):
        # Some requests have nothing that could be got wrong; valid ones always exist.
        assert mode is GenerationMode.NEGATIVE
        return
    assert asked
