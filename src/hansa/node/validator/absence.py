"""Whether the ledger shows that nobody signs with a validator's key.

A validator signs only for the height after the last block that it has. So an original that had stopped before
we were up to date has signed nothing beyond the next height, and every further block puts that behind. An
original that still runs shows itself: its signature is in the commits, and its address in the blocks that it
proposes. A commit needs only 2/3 of the power, so one that lacks a signature proves little; a row of blocks
that every validator had to propose several of proves it for any that takes part.

How far the others are is known by what they say, and an engine that has just begun may not know it yet. So a
signature in a block that was made before we began to observe only delays, as one that was under way does: it
may be the original's, from before it stopped.
"""

from __future__ import annotations

from typing import Final

from hansa.pubsub.engine import BlockSigners

PROPOSALS: Final = 3
"""How often each of the validators proposes a block while we count, if they have equal powers."""
UNDER_WAY_MAX: Final = 2
"""Heights after the last block that the original may have signed before it stopped."""
CLOCK_MARGIN_MS: Final = 10_000
"""By how much this machine's clock may differ from the time of blocks."""


class Absence:
    """Counts consecutive blocks in which a validator had no part.

    Args:
        address: Of the validator: 40 hexadecimal digits, upper case.
        height: Of the last block anywhere, when counting begins.
        blocks_min: How many blocks are needed at least.
        blocks_more: How many are needed beyond what is necessary; drawn, so that two copies that observe at
            the same time do not end at the same time.
        marked_ms: When the original must have stopped, by this machine's clock, milliseconds since 1970; 0:
            unknown.
    """

    def __init__(
        self, address: str, height: int, blocks_min: int, blocks_more: int, marked_ms: int = 0
    ) -> None:
        assert blocks_min > UNDER_WAY_MAX, "what was under way is not counted as absence"
        self._address = address
        self._under_way_to = height + UNDER_WAY_MAX
        self._since = height
        self._blocks_min = blocks_min
        self._blocks_more = blocks_more
        self._old_to_ms = marked_ms + CLOCK_MARGIN_MS if marked_ms else 0
        self._time_ms = 0
        """Of the last block that was counted."""
        self._validators = 0
        self.height = height
        """Of the last block that was counted."""
        self.seen_at: int | None = None
        """Height of a block that somebody else made or signed with the validator's key."""

    @property
    def blocks(self) -> int:
        """Blocks in a row without a part of the validator."""
        return self.height - self._since

    @property
    def blocks_needed(self) -> int:
        """How many there have to be."""
        return max(self._blocks_min, PROPOSALS * self._validators) + self._blocks_more

    @property
    def is_proven(self) -> bool:
        """Whether the validator can sign from the next height on without contradicting itself."""
        return self.seen_at is None and self.blocks >= self.blocks_needed

    def add(self, block: BlockSigners) -> None:
        """Count the next block, or the last one again as others have it."""
        assert block.height in {self.height, self.height + 1}, "blocks come in order"
        self.height = block.height
        self._validators = block.validators
        self._time_ms = block.time_ms
        if block.vote_of(self._address) is not None or block.proposer == self._address:
            self._note(block.height)

    def note_vote(self, height: int) -> None:
        """A vote of the validator for a block that is not committed yet."""
        if height >= self.height:
            self._note(height)

    def _note(self, height: int) -> None:
        self._since = self.height
        is_old = self._time_ms <= self._old_to_ms
        if height > self._under_way_to and not is_old:
            self.seen_at = height
