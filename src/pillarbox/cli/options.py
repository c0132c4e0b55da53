"""What all commands share: their options, and their way to the API."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import App, Parameter

from pillarbox.base import config as configuration
from pillarbox.base.config import Config
from pillarbox.cli.help import Columns

if TYPE_CHECKING:
    from pillarbox.client.client import Pillarbox

T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Everywhere:
    """The options of every command."""

    json: bool = False
    """Answer as JSON, in the shapes of the API."""

    config: Annotated[Path | None, Parameter(name="--config", metavar="FILE")] = None
    """A TOML file with options. The environment wins over it."""

    debug: bool = False
    """Show log lines, and where an unexpected error came from."""

    def load(self) -> Config:
        """The configuration. Raises Rejected with everything that is wrong with it."""
        return configuration.load(file=self.config)


NOTHING = Everywhere()


def group(name: str, help_: str) -> App:
    """A command, or a group of them, that looks like all others."""
    return App(
        name=name,
        help=help_,
        default_parameter=Parameter(negative=(), show_default=False),
        help_format="plaintext",
        help_formatter=Columns(),
        version_flags=[],
    )


def ask(
    everywhere: Everywhere, work: Callable[[Pillarbox], Awaitable[T]], *, deliver: bool = False
) -> T:
    """Do this with the API: of the running server, or in this process without one."""
    from pillarbox.base.log import start_logging
    from pillarbox.client.client import Pillarbox

    config = everywhere.load()
    start_logging(config.log, logging.INFO if everywhere.debug else logging.ERROR)

    async def inside() -> T:
        async with Pillarbox(config, deliver=deliver) as box:
            return await work(box)

    return asyncio.run(inside())


def print_json(told: Any) -> None:
    """One JSON text on stdout, as the API answers it."""
    print(json.dumps(told, ensure_ascii=False, indent=2))
