"""The HTTP server: the application from its routes, and uvicorn around it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pillarbox import __version__
from pillarbox.base.config import Listen
from pillarbox.base.errors import PillarboxError, Unusable
from pillarbox.inlets.http import docs, openapi, problems, static
from pillarbox.inlets.http.api import (
    batch,
    certificates,
    changes,
    consent,
    events,
    exports,
    health,
    keys,
    messages,
    metrics,
    providers,
    relays,
    restored,
    routes,
    sender_domains,
    tenants,
    versions,
)
from pillarbox.inlets.http.body import Intake
from pillarbox.inlets.http.connection import Connection
from pillarbox.inlets.http.console import captured, message, overview
from pillarbox.inlets.http.console import consent as consent_page
from pillarbox.inlets.http.console import relays as relay_page
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.express import PATH
from pillarbox.inlets.http.gate import Gate
from pillarbox.inlets.http.streams import Streams

_API = (
    batch,
    messages,
    changes,
    certificates,
    exports,
    relays,
    consent,
    versions,
    routes,
    sender_domains,
    keys,
    tenants,
    providers,
    events,
    restored,
    health,
    metrics,
)
_PAGES = (overview, message, captured, relay_page, consent_page, docs, static)
_ROUTES = (*_API, *_PAGES)

_BACKLOG = 512
_GRACE_SECONDS = 10  # for requests under way when the server stops

Application = FastAPI
"""What is served: any ASGI server or transport may call it."""


def build(desk: Desk) -> FastAPI:
    """The whole application: API, pages and console."""
    app = FastAPI(
        title="Pillarbox",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever Host was asked for
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.desk = desk
    app.state.intake = Intake()
    app.state.streams = Streams(desk)
    app.state.probe = health.Probe()
    gate = app.state.gate = Gate(desk, {("POST", PATH): messages.send}, messages.send_whole)
    app.add_middleware(gate.before)
    app.add_exception_handler(PillarboxError, problems.on_error)
    app.add_exception_handler(RequestValidationError, problems.on_parameter)
    app.add_exception_handler(HTTPException, problems.on_http)
    for each in _ROUTES:
        app.include_router(each.router)
    openapi.attach(app)
    return app


class Server:
    """A listening server. It answers from `run` until `stop`."""

    def __init__(self, app: FastAPI, listen: Listen) -> None:
        """Takes the port at once. Raises Unusable when somebody else has it."""
        self._socket = _bound(listen)
        self.port: int = self._socket.getsockname()[1]
        self._streams: Streams = app.state.streams
        self._server = _Server(_settings(app))

    async def run(self) -> None:
        """Answer requests until `stop`; then finish those under way."""
        await self._server.serve(sockets=[self._socket])

    @property
    def is_started(self) -> bool:
        return self._server.started

    def stop(self) -> None:
        """Take no more requests. A second call does not wait for those under way."""
        if self._server.should_exit:
            self._server.force_exit = True
        self._server.should_exit = True
        self._streams.end()


def serve(desk: Desk, listen: Listen) -> Server:
    """A server at listen; port 0 takes a free one. Raises Unusable when the port is taken."""
    return Server(build(desk), listen)


class _Server(uvicorn.Server):
    """Signals belong to the program, not to one of its parts."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settings(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is asking is the peer, not what a header says
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _bound(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        return socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Unusable(
            f"{listen} cannot be listened on: {error.strerror}. Stop what uses it, or set "
            f"PILLARBOX_HTTP to another address"
        ) from None
