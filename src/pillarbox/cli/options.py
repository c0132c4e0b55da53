"""What all commands share: their options, and their way to the API."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import App, Parameter

from pillarbox.base import config as configuration
from pillarbox.base.config import Config
from pillarbox.base.errors import NotFound
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


class Home(Enum):
    """What a command does on a home where there is no pillarbox yet."""

    EXPECTED = "expected"  # there is nothing to ask: it is refused
    MADE = "made"  # a new one is made, and said so
    SPARED = "spared"  # it works on one of its own, which is gone afterwards


def ask(
    everywhere: Everywhere,
    work: Callable[[Pillarbox], Awaitable[T]],
    *,
    deliver: bool = False,
    home: Home = Home.EXPECTED,
) -> T:
    """Do this with the API: of the running server, or in this process without one."""
    from pillarbox.base.log import start_logging
    from pillarbox.client.client import Pillarbox

    config = everywhere.load()
    start_logging(config.log, logging.INFO if everywhere.debug else logging.ERROR)

    async def inside(config: Config) -> T:
        async with Pillarbox(config, deliver=deliver) as box:
            return await work(box)

    with _on(config, home, is_quiet=everywhere.json) as config:
        return asyncio.run(inside(config))


@contextmanager
def _on(config: Config, home: Home, *, is_quiet: bool) -> Iterator[Config]:
    """The configuration to work with. Raises NotFound where a pillarbox is expected."""
    from pillarbox.base import home as home_folder

    if home_folder.exists(config):
        yield config
        return
    match home:
        case Home.EXPECTED:
            raise NotFound(
                f"there is no pillarbox at {config.home}; start one with `pillarbox serve`,"
                " or set PILLARBOX_HOME to where it is"
            )
        case Home.MADE:
            yield config
            if not is_quiet:
                print(f"(made a new home at {config.home})", file=sys.stderr)
        case Home.SPARED:
            with TemporaryDirectory(prefix="pillarbox-") as folder:
                yield replace(config, home=Path(folder), database_url=None, secret_key_file=None)


def print_json(told: Any) -> None:
    """One JSON text on stdout, as the API answers it."""
    print(json.dumps(told, ensure_ascii=False, indent=2))
