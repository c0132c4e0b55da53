"""
Where a PostgreSQL server is, and how we connect to it.

asyncpg reads the URL as libpq does: `sslmode`, several hosts, PGPASSFILE. Every wait has an
end: a connect, a statement, a lock, a transaction that somebody forgot.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 25.0  # longer than the server's own limits: then the network is gone
_STATEMENTS = 200  # compiled statements kept, per connection
_SETTINGS = {
    "application_name": "pillarbox",
    "statement_timeout": "20s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "jit": "off",  # our statements are short; compiling them would take longer than running them
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Dsn:
    """A `postgresql://…` URL. Not shown, because it may hold a password."""

    url: str = field(repr=False)

    async def connect(self, **settings: str) -> asyncpg.Connection:
        """A connection of its own. Raises what asyncpg raises."""
        connection = await asyncpg.connect(
            self.url,
            timeout=_CONNECT_SECONDS,
            command_timeout=_ANSWER_SECONDS,
            server_settings=_SETTINGS | settings,
        )
        for name in ("text", "varchar"):
            await connection.set_type_codec(
                name, schema="pg_catalog", encoder=_without_nul, decoder=str, format="text"
            )
        return connection

    def engine(self, connections: int, *, read_only: bool = False) -> AsyncEngine:
        """A pool of connections. Readers see one moment for as long as a work runs."""
        settings = {"default_transaction_read_only": "on"} if read_only else {}

        async def connect() -> asyncpg.Connection:
            return await self.connect(**settings)

        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            hide_parameters=True,  # an error is logged, and parameters may be mail
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_CONNECT_SECONDS + _ANSWER_SECONDS,
            connect_args={"prepared_statement_cache_size": _STATEMENTS},
        )


def _without_nul(text: str) -> str:
    """PostgreSQL's texts cannot hold U+0000, and a relay may say anything."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
