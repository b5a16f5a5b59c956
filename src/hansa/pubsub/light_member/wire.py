"""What a light member requests of others, beside light blocks: state, batches, and a place for a transaction.

    GET  /league/v1/ledger/state?known=…    the state in parts (`hansa.pubsub.ledger.reading.parts`)
    GET  /league/v1/ledger/batches?after=…  the next batches (`hansa.pubsub.ledger.history.segment`)
    GET  /league/v1/snapshots, …/{height}, …/{height}/{index}
                                            a snapshot to begin with (`hansa.pubsub.ledger.snapshots`)
    POST /league/v1/ledger/transactions     a transaction; the request is signed by a member

A verdict says what the member's ledger application made of a transaction: it waits for a block, may be valid
later, or breaks a rule. It is that member's word alone.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused

STATE_PATH: Final = "/league/v1/ledger/state"
BATCHES_PATH: Final = "/league/v1/ledger/batches"
TRANSACTIONS_PATH: Final = "/league/v1/ledger/transactions"
SNAPSHOTS_PATH: Final = "/league/v1/snapshots"
WAIT_MAX_S: Final = 3600.0

Outcome = Literal["later", "refused", "waits"]


class SubmissionVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a member says about a transaction that it was given."""

    outcome: Outcome
    """Whether it waits for a block, may be valid later, or breaks a rule."""
    code: str = ""
    """Of the rule that it breaks, or of why it may be valid later."""
    wait_s: float = 0.0
    """After which time it may be valid."""

    @property
    def known_code(self) -> Code:
        """The code, where this release has it."""
        return Code(self.code) if self.code in set(Code) else Code.TRANSACTION_MALFORMED


class SnapshotHeights(msgspec.Struct, frozen=True):
    """Which snapshots a member has."""

    heights: tuple[int, ...]
    """Of the blocks after which they were made, newest first."""


_decoder: Final = msgspec.json.Decoder(SubmissionVerdict)
_heights_decoder: Final = msgspec.json.Decoder(SnapshotHeights)


def read_verdict(raw: bytes) -> SubmissionVerdict:
    """A verdict from a stranger.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        verdict = _decoder.decode(raw)
    except UNREADABLE as error:
        raise Refused(Code.PROOF_INVALID, "The verdict is not in its form.") from error
    wait_s = min(max(verdict.wait_s, 0.0), WAIT_MAX_S)
    return msgspec.structs.replace(verdict, wait_s=wait_s)


def read_heights(raw: bytes) -> tuple[int, ...]:
    """The heights of a stranger's snapshots, newest first.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        heights = _heights_decoder.decode(raw).heights
    except UNREADABLE as error:
        raise Refused(Code.PROOF_INVALID, "The list of snapshots is not in its form.") from error
    return tuple(sorted((one for one in heights if one > 0), reverse=True))
