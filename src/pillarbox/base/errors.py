"""
What can go wrong on our side of the counter.

    PillarboxError
    ├── Refused            the request is wrong; sending it again changes nothing
    │   ├── Invalid            a field has a value we cannot use
    │   ├── Rejected           several of those at once, each with its field
    │   ├── Unauthenticated    we do not know who is asking
    │   ├── Denied             this principal may not do that
    │   ├── NotFound           there is no such thing
    │   ├── Conflict           it is not in a state that allows this
    │   ├── Mismatch           an idempotency key came back with another request
    │   └── TooLarge           more octets than we or the relay take
    └── Unavailable        we cannot do it now; the same request may work later
        ├── DiskFull           there is no room for more mail
        ├── QueueFull          as much mail is waiting as we keep
        ├── TooOften           this principal has asked as often as it may
        └── Unusable           the database or the key cannot be used until a person acts

A failed delivery is not here. It is an ordinary result: see mail/outcome.py.
Each inlet turns these into its own words in one place: problems.py, replies.py, exits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


class PillarboxError(Exception):
    """Base of everything we raise on purpose."""

    code = "error"  # stable and documented: clients may switch on it

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Refused(PillarboxError):
    """The request is wrong; sending it again changes nothing."""

    code = "refused"


class Invalid(Refused):
    """A field has a value we cannot use. `field` is a JSON Pointer without its first slash."""

    code = "invalid"

    def under(self, parent: str) -> Invalid:
        """The same fault, seen from the object that contains this one."""
        return Invalid(str(self), field=f"{parent}/{self.field}" if self.field else parent)


class Rejected(Refused):
    """Everything that is wrong with a request, not only the first thing."""

    code = "validation_error"

    def __init__(self, problems: Sequence[Invalid]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Unauthenticated(Refused):
    """The request carries no credentials, or none that we know."""

    code = "invalid_credentials"


class Denied(Refused):
    """The principal is known and may not do this."""

    code = "denied"


class NotFound(Refused):
    """There is no such thing, or not for this principal."""

    code = "not_found"


class Conflict(Refused):
    """The thing exists and is not in a state that allows this."""

    code = "conflict"


class Mismatch(Refused):
    """An idempotency key was used before, with another request."""

    code = "idempotency_mismatch"


class TooLarge(Refused):
    """More octets than we accept in one piece."""

    code = "payload_too_large"


class Unavailable(PillarboxError):
    """We cannot do it now. `retry_after` says when asking again makes sense."""

    code = "temporarily_unavailable"

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DiskFull(Unavailable):
    """There is no room for more mail. What is queued is still carried."""

    code = "insufficient_storage"


class QueueFull(Unavailable):
    """As many deliveries are waiting as we keep. They are carried, and there is room again."""

    code = "queue_full"


class TooOften(Unavailable):
    """This principal has asked for this as often as it may for now."""

    code = "too_many_requests"


class Unusable(Unavailable):
    """The database, the key file or a folder cannot be used until a person acts."""

    code = "unusable"
