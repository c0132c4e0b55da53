"""`pillarbox domain`: domains that mail is signed for, and whether senders will be believed."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from pillarbox.cli.exits import Exit
from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json

app = group("domain", "Domains that mail is signed for, and whether senders will be believed.")


@app.command
def add(
    domain: str,
    /,
    *,
    kind: str | None = None,
    selector: str | None = None,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Make a signing key for a domain and show the record to publish.

    Parameters
    ----------
    kind
        rsa, ed25519, or both: then mail is signed twice. rsa if left out.
    selector
        Where the key is to stand: SELECTOR._domainkey.DOMAIN. Left out: by the day.
    """
    added = ask(
        everywhere,
        lambda box: box.domains.add(domain, kind=kind, selector=selector),
        home=Home.MADE,
    )
    _show(added, everywhere)


@app.command(name="list")
def list_(*, everywhere: Everywhere = NOTHING) -> None:
    """List the domains whose mail is signed."""
    page = ask(everywhere, lambda box: box.domains.list())
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.domain import show_list

    return show_list(page, console())


@app.command
def show(domain: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Show a domain, its keys and the records to publish."""
    _show(ask(everywhere, lambda box: box.domains.get(domain)), everywhere)


@app.command
def check(
    address: str,
    /,
    *,
    relay: str | None = None,
    selector: Annotated[tuple[str, ...], Parameter(name="--selector")] = (),
    everywhere: Everywhere = NOTHING,
) -> Exit:
    """Look whether mail from an address will be believed: SPF, DKIM, DMARC, MX.

    Our own keys whose record is published sign from then on. Ends with 1 when something
    has to be mended.

        pillarbox domain check shop@example.org --relay main

    Parameters
    ----------
    relay
        The relay that the mail goes by: its provider has to stand in SPF.
    selector
        Where the provider's DKIM key stands, as often as needed.
    """
    home = Home.EXPECTED if relay else Home.SPARED
    found = ask(
        everywhere,
        lambda box: box.domains.check(address, relay=relay, selectors=selector),
        home=home,
    )
    if everywhere.json:
        print_json(found.json)
    else:
        from pillarbox.cli.terminal import console
        from pillarbox.cli.views.domain import show_readiness

        show_readiness(found, console())
    return Exit.DONE if found.ok else Exit.NOT_WELL


@app.command
def rotate(
    domain: str, /, *, selector: str | None = None, everywhere: Everywhere = NOTHING
) -> None:
    """Make a new key. The old one signs until the new record has been seen by a check.

    Parameters
    ----------
    selector
        Where the new key is to stand. Left out: by the day.
    """
    _show(ask(everywhere, lambda box: box.domains.rotate(domain, selector=selector)), everywhere)


@app.command
def remove(domain: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Sign mail of this domain no more. Its keys are gone for good."""
    ask(everywhere, lambda box: box.domains.remove(domain))
    if everywhere.json:
        print_json({"domain": domain, "removed": True})
    else:
        print(f"Removed {domain}. Its records may leave the DNS in a week.")


def _show(domain: Any, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(domain.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.domain import show

    return show(domain, console())
