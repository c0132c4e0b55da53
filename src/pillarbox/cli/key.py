"""`pillarbox key`: keys for the API."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json

app = group("key", "Keys for the API.")


@app.command
def create(*, name: str, tenant: str | None = None, everywhere: Everywhere = NOTHING) -> None:
    """Make a key and show it, this once.

    Parameters
    ----------
    name
        What it is for, so that you know it again.
    tenant
        The tenant that it acts for: it sends, and looks at that tenant's mail only. Without
        one, the key may do everything.
    """
    key = ask(everywhere, lambda box: box.keys.create(name, tenant=tenant), home=Home.MADE)
    if everywhere.json:
        return print_json({"id": key.id, "name": key.name, "key": key.key})
    print(key.key)
    if sys.stdout.isatty():
        print(f"\nThis is the only time it is shown. To revoke it: pillarbox key revoke {key.id}")
    return None


@app.command(name="list")
def list_(*, everywhere: Everywhere = NOTHING) -> None:
    """List all keys, revoked ones too."""
    page = ask(everywhere, lambda box: box.keys.list())
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console, listing, local

    if not page.items:
        print("No keys. Make one: pillarbox key create --name NAME")
        return None
    rows = [
        (
            each.id,
            each.name,
            each.tenant or "system",
            local(each.created_at),
            f"revoked {local(each.revoked_at)}" if each.revoked_at else "",
        )
        for each in page
    ]
    return console().print(listing(("Key", "Name", "Of", "Made", ""), rows))


@app.command
def revoke(
    key_id: Annotated[str, Parameter(name="ID")], /, *, everywhere: Everywhere = NOTHING
) -> None:
    """Revoke a key: from now on it opens nothing."""
    ask(everywhere, lambda box: box.keys.revoke(key_id))
    if everywhere.json:
        print_json({"id": key_id, "revoked": True})
    else:
        print(f"Revoked {key_id}. Requests with it are refused from now on.")
