"""Relays that go nowhere: the sandbox, and a folder that messages are written to."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from pillarbox.diagnosis.findings import Status, Step
from pillarbox.mail.outcome import Stage
from pillarbox.relays.relay import RelaySettings


def sandbox_step() -> Step:
    """There is nothing that could fail."""
    return _ok("the sandbox keeps mail here, and sends nothing")


async def folder_step(settings: RelaySettings) -> Step:
    """Whether a file can be written into the folder. The one that is tried is removed again."""
    folder = Path(settings.directory or "")
    return await asyncio.to_thread(_try, folder)


def _try(folder: Path) -> Step:
    if not folder.exists():
        return _fail(f"{folder} does not exist", "Make the folder, or set directory to another.")
    if not folder.is_dir():
        return _fail(f"{folder} is not a folder", "Set directory to a folder.")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".pillarbox-", suffix=".tmp") as file:
            file.write(b"\r\n")
            file.flush()
    except OSError as error:
        cause = f"a file cannot be written into {folder}: {error.strerror}"
        return _fail(cause, "Let the user that runs pillarbox write there.")
    return _ok(f"a file was written into {folder} and removed again")


def _ok(evidence: str) -> Step:
    return Step(stage=Stage.CONFIGURATION, status=Status.OK, evidence=evidence)


def _fail(evidence: str, fix: str) -> Step:
    cause = f"{evidence[0].upper()}{evidence[1:]}."
    return Step(
        stage=Stage.CONFIGURATION,
        status=Status.FAIL,
        evidence=evidence,
        cause=cause,
        fix=fix,
        field="directory",
    )
