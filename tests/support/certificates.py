"""A certificate authority of our own, and what it issues, as files other programs can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """The authority to trust, and one server's key and chain in one PEM file."""

    ca_pem: Path
    server_pem: Path


def issue(folder: Path, *names: str) -> Certificates:
    """A new authority and a server certificate for the names, 127.0.0.1 and localhost."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", *names)
    certificates = Certificates(folder / "ca.pem", folder / "server.pem")
    authority.cert_pem.write_to_path(str(certificates.ca_pem))
    server.private_key_and_cert_chain_pem.write_to_path(str(certificates.server_pem))
    return certificates
