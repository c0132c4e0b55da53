"""Outgoing mail for applications: settings that are known to work, mail that is not lost."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pillarbox.client.answers import Message
    from pillarbox.client.blocking import BlockingPillarbox
    from pillarbox.client.client import Pillarbox
    from pillarbox.client.fields import Attachment
    from pillarbox.client.outbox import enqueue

__all__ = ["Attachment", "BlockingPillarbox", "Message", "Pillarbox", "enqueue"]
__version__ = "0.1.0"

_HOMES = {
    "Attachment": "pillarbox.client.fields",
    "BlockingPillarbox": "pillarbox.client.blocking",
    "Message": "pillarbox.client.answers",
    "Pillarbox": "pillarbox.client.client",
    "enqueue": "pillarbox.client.outbox",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for (PEP 562): `import pillarbox` is cheap."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'pillarbox' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
