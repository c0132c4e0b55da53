"""`pillarbox events`: what happened, and what happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pillarbox.cli.options import NOTHING, Everywhere, ask, group, print_json

if TYPE_CHECKING:
    from pillarbox.client.answers import Event
    from pillarbox.client.client import Pillarbox

app = group("events", "What happened: list, follow.")

_FIRST = ("answer", "cause", "relay")  # facts that tell most


@app.default
def events(
    *,
    after: Annotated[int | None, Parameter(metavar="ID")] = None,
    limit: Annotated[int, Parameter(metavar="N")] = 20,
    follow: bool = False,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Show what happened, oldest first; with --follow what happens, until Ctrl-C.

    Parameters
    ----------
    after
        Only what came after the event with this id; left out: the last ones.
    limit
        How many, 1 to 1000. With --follow there is no limit.
    follow
        Go on with what happens. With --json each event is one line.
    """
    if follow:
        return ask(everywhere, lambda box: _follow(box, after, as_json=everywhere.json))
    page = ask(everywhere, lambda box: box.journal.list(after=after, limit=limit))
    if everywhere.json:
        return print_json(page.json)
    for each in page:
        print(line_of(each))
    return None


async def _follow(box: Pillarbox, after: int | None, *, as_json: bool) -> None:
    async for event in box.events(after=after):
        told = json.dumps(event.json, ensure_ascii=False) if as_json else line_of(event)
        print(told, flush=True)


def line_of(event: Event) -> str:
    """One line for people: when, what, about what, and the fact that tells most."""
    from pillarbox.cli.terminal import local, plain

    about = event.delivery_id or event.message_id or event.relay_id or ""
    fact = next((str(event.facts[name]) for name in _FIRST if event.facts.get(name)), "")
    shown = plain(fact).replace("\n", " ")
    return f"{event.id:>8}  {local(event.at)}  {event.name:20}  {about:30}  {shown}".rstrip()
