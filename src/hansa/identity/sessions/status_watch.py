"""Ends the sessions of credentials that were revoked or suspended after the login.

    open ──▶ good ── looked at again every minute ──▶ good …
               ├─ revoked, suspended ──▶ over, at once
               └─ cannot be told ──▶ open, for a quarter of an hour at most ──▶ over

The status is looked up beside the requests, and a list is fetched only when its own life is over
(`StatusLists`), so a session outlives its credential by what the issuer says its list is good for, and a
minute. An issuer, or a registry of trusted issuers, that cannot be reached for a moment logs nobody out; one
that stays away does: it fails closed. What is not known at a restart is looked up a minute later, with the
time of grace begun anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.identity.credentials.refusals import CredentialRefused
from hansa.identity.credentials.status.references import HeldStatus
from hansa.identity.sessions.browser_sessions import BrowserSessions

CHECKED_EVERY_S: Final = 60.0
UNKNOWN_MAX_S: Final = 900.0
"""For so long a session goes on while the status of its credential cannot be told."""
CHECKED_AT_A_TIME: Final = 8

log: Final = structlog.get_logger("hansa.identity")


class StatusWatch:
    """Looks at the credentials of all open sessions. To be used on one event loop.

    Args:
        sessions: Which are open.
        check_status: Looks a status up; raises `CredentialRefused`.
        clock: For the times between looks.
    """

    def __init__(
        self,
        sessions: BrowserSessions,
        check_status: Callable[[HeldStatus], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._check_status = check_status
        self._clock = clock
        self._unknown_since_s: dict[HeldStatus, float] = {}

    async def run(self) -> None:
        """Look at all of them once in a while."""
        while True:
            await self._clock.sleep(CHECKED_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Look at all of them now, each credential once.

        Raises:
            Unavailable: The store cannot be written; what was to be ended is ended in this process
                all the same.
        """
        principals = self._sessions.principals()
        statuses = list(dict.fromkeys(one.credential_status for one in principals if one.credential_status))
        unknown = self._unknown_since_s
        self._unknown_since_s = {one: unknown[one] for one in statuses if one in unknown}
        for first in range(0, len(statuses), CHECKED_AT_A_TIME):
            together = statuses[first : first + CHECKED_AT_A_TIME]
            are_good = await asyncio.gather(*map(self._is_good, together))
            for status, is_good in zip(together, are_good, strict=True):
                if not is_good:
                    await self._sessions.end_all_with(status)

    async def _is_good(self, status: HeldStatus) -> bool:
        """Whether the sessions of a credential may go on."""
        try:
            await self._check_status(status)
        except (CredentialRefused, Unavailable) as error:
            if isinstance(error, Unavailable) or error.code is Code.CREDENTIAL_STATUS_UNKNOWN:
                now_s = self._clock.monotonic()
                since_s = self._unknown_since_s.setdefault(status, now_s)
                if now_s - since_s < UNKNOWN_MAX_S:
                    return True
            steps = list(error.steps) if isinstance(error, CredentialRefused) else []
            log.warning("session_ended", code=error.code, steps=steps)
            return False
        self._unknown_since_s.pop(status, None)
        return True
