"""The watch over the operator's access policies: another content is adopted while the marketplace runs.

Every `POLL_S` the files are looked at. A change that is valid decides from then on. One that is not valid is
reported (`problem`), and the policies stay as they are; a start with such files is refused.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Fatal
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies, read_texts

POLL_S: Final = 2.0

log = structlog.get_logger()


class AccessWatch:
    """Adopts changes of the files.

    Args:
        folder: Has the files; it need not be there.
        rights: Decides by them.
        texts: The files as they were read for `rights`.
        clock: Between looks.
    """

    def __init__(self, folder: Path, rights: AccessRights, texts: dict[str, str], clock: Clock) -> None:
        self._folder = folder
        self._rights = rights
        self._texts: dict[str, str] | None = texts
        self._clock = clock
        self._problem: str | None = None
        self._since = clock.now()

    @property
    def policies(self) -> AccessPolicies:
        """Those in force."""
        return self._rights.policies

    @property
    def since(self) -> datetime:
        """When they were adopted."""
        return self._since

    @property
    def problem(self) -> str | None:
        """Why the files as they are now are not adopted; None: they are."""
        return self._problem

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._clock.sleep(POLL_S)
            await self.look()

    async def look(self) -> None:
        """Adopt the files when they have another content."""
        try:
            texts = await asyncio.to_thread(read_texts, self._folder)
            if texts != self._texts:
                policies = await asyncio.to_thread(AccessPolicies, texts, self._clock)
                self._rights.adopt(policies)
                self._texts, self._since = texts, self._clock.now()
                log.info("access_policies_adopted", files=list(policies.files), policies=len(policies))
            self._problem = None
        except Fatal as error:
            if self._problem != error.message:
                log.error("access_policies_invalid", reason=error.message)
            self._problem, self._texts = error.message, None  # read again, until they are valid
