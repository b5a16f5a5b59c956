"""Which of its blocks the engine may forget (`retain_height` of ABCI).

Nothing, unless the operator says how many of the last blocks are retained. Then all blocks before them, but
none that is younger than evidence of misbehavior may be, and none whose light block this member has not
retained yet (`hansa.pubsub.light.captured`): what was committed stays provable. What cannot be determined
counts as not retained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from hansa.pubsub.ledger.sqlite_state import SqliteState

EVERY_MAX: Final = 100
"""Blocks between two looks."""


class PruningRules(msgspec.Struct, frozen=True):
    """What an operator decides, and what is necessary."""

    blocks_retained: int = 0
    """How many of the last blocks the engine retains; 0: all."""
    retained_min_s: int = 0
    """Blocks of this age, by block time, are retained in any case."""
    light_blocks: Path | None = None
    """The file of retained light blocks; None where none are retained."""


RETAIN_ALL: Final = PruningRules()


class Pruning:
    """Decides after each block.

    Args:
        rules: What may be forgotten.
    """

    def __init__(self, rules: PruningRules) -> None:
        assert rules.blocks_retained >= 0, "a number of blocks"
        self._rules = rules
        self._every = max(1, min(EVERY_MAX, rules.blocks_retained // 10))

    def first_retained(self, state: SqliteState) -> int:
        """The height before which the engine may forget its blocks; 0 for no change."""
        height = state.head.height
        first = height - self._rules.blocks_retained + 1
        if self._rules.blocks_retained == 0 or first <= 1 or height % self._every:
            return 0
        if self._rules.retained_min_s:
            first = min(first, _height_before(state, 1000 * self._rules.retained_min_s))
        if self._rules.light_blocks is not None:
            first = min(first, _captured_to(self._rules.light_blocks))
        return max(first, 0)


def _height_before(state: SqliteState, age_ms: int) -> int:
    """The last height with events whose block is older than an age; 0 when there is none."""
    rows: list[tuple[Any, ...]] = state.connection.execute(
        "SELECT height FROM block WHERE time_ms < ? ORDER BY time_ms DESC, first_position DESC LIMIT 1",
        (state.head.time_ms - age_ms,),
    ).fetchall()
    return int(rows[0][0]) if rows else 0


def _captured_to(path: Path) -> int:
    """Up to which height light blocks have been retained; 0 when that cannot be determined."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            rows: list[tuple[Any, ...]] = connection.execute("SELECT height FROM progress").fetchall()
        finally:
            connection.close()
    except apsw.Error:
        return 0
    return int(rows[0][0]) if rows else 0
