"""`pillarbox tenant`: organisations that share this pillarbox, and what each may use of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json

if TYPE_CHECKING:
    from pillarbox.client.tenant_answers import Tenant

app = group("tenant", "Organisations that share this pillarbox.")

Name = Annotated[str, Parameter(name="TENANT")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a tenant may use."""

    system_relays: Literal["allowed", "forbidden"] | None = None
    """Whether its mail may go by the system's default relay. A new tenant's may."""

    senders: Annotated[str | None, Parameter(metavar="LIST")] = None
    """Addresses and domains that it sends from, with commas between; empty: any."""

    @property
    def places(self) -> list[str] | None:
        return None if self.senders is None else [each for each in self.senders.split(",") if each]


AS_IT_IS = Policy()


@app.command
def add(name: Name, /, *, policy: Policy = AS_IT_IS, everywhere: Everywhere = NOTHING) -> None:
    """Make a tenant. Then make a key for it: pillarbox key create --tenant."""
    made = ask(
        everywhere,
        lambda box: box.tenants.add(
            name, system_relays=policy.system_relays, senders=policy.places
        ),
        home=Home.MADE,
    )
    if everywhere.json:
        return print_json(made.json)
    print(f"Made the tenant {made.name}. A key for it:")
    return print(f"  pillarbox key create --tenant {made.id} --name NAME")


@app.command(name="list")
def list_(*, everywhere: Everywhere = NOTHING) -> None:
    """List all tenants."""
    page = ask(everywhere, lambda box: box.tenants.list())
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console, listing

    if not page.items:
        return print("No tenants: all mail is the system's. Make one: pillarbox tenant add NAME")
    rows = [(each.name, each.id, each.system_relays, _senders(each)) for each in page]
    heading = ("Tenant", "Id", "System relay", "Sends from")
    return console().print(listing(heading, rows))


@app.command
def show(tenant: Name, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Show a tenant and what it may use."""
    _show(ask(everywhere, lambda box: box.tenants.get(tenant)), everywhere)


@app.command(name="set")
def set_(
    tenant: Name,
    /,
    *,
    name: str | None = None,
    policy: Policy = AS_IT_IS,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Change what a tenant may use, or its name. Mail that was accepted is carried.

    Parameters
    ----------
    name
        Another name.
    """
    changed = ask(
        everywhere,
        lambda box: box.tenants.set(
            tenant, name=name, system_relays=policy.system_relays, senders=policy.places
        ),
    )
    _show(changed, everywhere)


@app.command
def remove(tenant: Name, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Remove a tenant that has no keys any more. Its mail is carried."""
    ask(everywhere, lambda box: box.tenants.remove(tenant))
    if everywhere.json:
        print_json({"tenant": tenant, "removed": True})
    else:
        print(f"Removed the tenant {tenant}.")


def _show(tenant: Tenant, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(tenant.json)
    print(f"{tenant.name} ({tenant.id})")
    print(f"  system relays  {tenant.system_relays}")
    return print(f"  sends from     {_senders(tenant)}")


def _senders(tenant: Tenant) -> str:
    return ", ".join(tenant.senders) or "any address; nothing is signed"
