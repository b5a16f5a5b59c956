"""The watch over the operator's files: another content is adopted while the marketplace runs.

Every `POLL_S` the files are looked at. A change that is valid is adopted at once: everything that is decided
from then on is decided by it, and the walks over what is published and what was taken in begin. A change that
is not valid is reported (`problem`), and the conditions stay as they are; a start with such files is refused.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Fatal
from hansa.core.signal import Signal
from hansa.replication.conditions.cedar import ACTIONS, decision_cache
from hansa.replication.conditions.files import read_conditions, read_policies
from hansa.replication.conditions.policy import DistributionPolicy

POLL_S: Final = 2.0

log = structlog.get_logger()


class ConditionsWatch:
    """Adopts changes of the files.

    Args:
        folder: Has the files.
        policy: Decides by them.
        changed: Wakes the walks.
        clock: Between looks.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`: the files of the start are not valid.
    """

    def __init__(self, folder: Path, policy: DistributionPolicy, changed: Signal, clock: Clock) -> None:
        self._folder = folder
        self._policy = policy
        self._changed = changed
        self._clock = clock
        self.cache: Final = decision_cache()
        self._texts = self._read()
        self._problem: str | None = None
        self._since = clock.now()
        policy.adopt(read_conditions(folder, clock, self.cache))
        self._rules = self._current_rules()

    @property
    def since(self) -> datetime:
        """When the conditions in force were adopted."""
        return self._since

    @property
    def problem(self) -> str | None:
        """Why the files as they are now are not adopted; None: they are."""
        return self._problem

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._clock.sleep(POLL_S)
            self.look()

    def look(self) -> None:
        """Adopt the files when they have another content, and wake the walks when another rule holds."""
        try:
            texts = self._read()
            if texts != self._texts:
                conditions = read_conditions(self._folder, self._clock, self.cache)
                self.cache.clear()
                self._policy.adopt(conditions)
                self._texts, self._since = texts, self._clock.now()
                log.info(
                    "conditions_adopted", files=[name for name, text in texts.items() if text is not None]
                )
            self._problem = None
        except Fatal as error:
            if self._problem != error.message:
                log.error("conditions_invalid", reason=error.message)
            self._problem, self._texts = error.message, {}  # read again, until they are valid
        rules = self._current_rules()
        if rules != self._rules:
            self._rules = rules
            self._changed.notify()

    def _read(self) -> dict[str, str | None]:
        return {name: read_policies(self._folder, name) for name in ACTIONS}

    def _current_rules(self) -> tuple[str, str]:
        return self._policy.publish_rule, self._policy.consume_rule
