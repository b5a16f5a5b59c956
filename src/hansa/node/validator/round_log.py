"""The write-ahead log that takes the place of one that was moved aside (`hansa engine repair`).

Without any, an engine begins the block that is being decided at round 0. Its memory of what it signed forbids
it to vote again in the rounds where it has voted, and without votes no round ends: a league that cannot
decide without it, such as a league of one, would stand still for ever. This log has the end of the block
before, and that the time of the last signed round is over; replaying it, the engine goes on in the round
after that one.

The form is that of CometBFT 0.40 (`consensus/wal.go`, `proto/tendermint/consensus/wal.proto`): CRC-32C and
length, four bytes each, before each message.
"""

from __future__ import annotations

from typing import Final

from hansa.pubsub.engine import SigningState
from hansa.pubsub.light.chain.wire import message, number, timestamp

PRECOMMIT_WAIT: Final = 7
"""The step of a round in which its time is over (`consensus/types/round_state.go`)."""
PREVOTE: Final = 2
"""The first step in which a validator votes, as `SigningState` counts."""
_TIMEOUT_INFO: Final = 3
_END_HEIGHT: Final = 4
_POLYNOMIAL: Final = 0x82F63B78
"""Of CRC-32C (RFC 3720), its bits reversed."""


def has_voted(signed: SigningState) -> bool:
    """Whether a validator has voted in the round that it signed in last."""
    return signed.height > 0 and signed.step >= PREVOTE


def log_after(signed: SigningState, time_ns: int) -> bytes:
    """The log of an engine that goes on in the round after the one that it signed in last.

    `time_ns` is that of its records, nanoseconds since 1970; nothing depends on it.
    """
    assert has_voted(signed), "whoever has not voted can begin with round 0"
    end = number(1, signed.height - 1)
    over = message(1, b"") + number(2, signed.height) + number(3, signed.round) + number(4, PRECOMMIT_WAIT)
    return _record(message(_END_HEIGHT, end), time_ns) + _record(message(_TIMEOUT_INFO, over), time_ns)


def _record(body: bytes, time_ns: int) -> bytes:
    timed = message(1, timestamp(time_ns)) + message(2, body)
    return crc32c(timed).to_bytes(4, "big") + len(timed).to_bytes(4, "big") + timed


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes."""
    rest = 0xFFFF_FFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (_POLYNOMIAL if rest & 1 else 0)
    return rest ^ 0xFFFF_FFFF
