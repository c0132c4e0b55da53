"""Certificates for people."""

from __future__ import annotations

from rich.console import Console

from pillarbox.cli.terminal import facts, local
from pillarbox.client.answers import Certificate, Certificates

SOON_DAYS = 30


def show_certificates(seen: Certificates, out: Console) -> None:
    """Whom it believes, then who we are."""
    if not seen.authorities and not seen.client_certificate:
        out.print("No certificates of its own: it believes the system's authorities.")
    for title, chain in (
        ("Believed", seen.authorities),
        ("Our own, then who issued it", seen.client_certificate),
    ):
        if chain:
            out.print(f"{title}:")
        for each in chain:
            out.print(facts(_rows(each)))
            out.print()
    if seen.key_matches:
        out.print("The key belongs to the first of our own.")


def _rows(each: Certificate) -> tuple[tuple[str, str], ...]:
    issuer = "itself" if each.is_self_signed else each.issuer
    return (
        ("Subject", each.subject),
        ("Issued by", issuer),
        ("For", ", ".join(each.names)),
        ("From", local(each.not_before)),
        ("Until", f"{local(each.not_after)}, {_left(each.days_left)}"),
        ("Key", each.key),
        ("SHA-256", each.sha256),
        ("Authority", "yes" if each.is_authority else "no"),
    )


def _left(days: int) -> str:
    if days < 0:
        return f"over for {-days} days"
    return f"{days} days left" + (": renew it" if days < SOON_DAYS else "")
