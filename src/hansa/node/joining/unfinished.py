"""An engine that was stopped between two steps of beginning with a snapshot, and cannot start any more.

It writes its state and the last commit one after the other. Without the commit it ends at every start. What
it has is of no value before its validator has signed anything: it is removed, and the engine begins again.
"""

from __future__ import annotations

import shutil
from typing import Final

import structlog

from hansa.core.files import is_missing
from hansa.node.folder import LEDGER
from hansa.pubsub.engine import SIGNING_STATE, UNSIGNED, Exit, read_signing_state

FAILED_STARTS_MAX: Final = 2
FAILED_WITHIN_S: Final = 10.0

log = structlog.get_logger("hansa.node")


class UnfinishedBeginning:
    """Counts failed starts of an engine that begins with a snapshot."""

    def __init__(self) -> None:
        self._failed = 0

    def note_exit(self, ended: Exit) -> None:
        """An exit of the engine."""
        is_failed = ended.status > 0 and ended.uptime_s < FAILED_WITHIN_S
        self._failed = self._failed + 1 if is_failed else 0

    def clear(self) -> None:
        """Before a start: remove what the engine has, if it cannot start and has signed nothing."""
        if self._failed < FAILED_STARTS_MAX or _has_signed():
            return
        self._failed = 0
        log.warning("engine_begins_again")
        for path in (LEDGER / SIGNING_STATE).parent.iterdir():
            if path.name != SIGNING_STATE.name:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _has_signed() -> bool:
    """Whether an engine here has signed something; one that observes without a memory of it has not."""
    return not is_missing(LEDGER / SIGNING_STATE) and read_signing_state(LEDGER) != UNSIGNED
