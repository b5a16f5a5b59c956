"""Senders of governance: who they are, the order of what they send, and how much they may.

A sender has one number, `seq`, over all its proposals, votes and statements, so whatever was sent before
is refused by one look-up. Its quota is a bucket of units that drains by block time: one for a
transaction, and one more for every 4,096 bytes of it. A suspended member sends as before: it may not
publish, but it votes.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.errors import Refused
from hansa.core.jws import CompactJws
from hansa.core.keys import PublicJwk
from hansa.pubsub.ledger.commitments.governance import SenderRecord
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.certificates import check_not_revoked
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.governance.tables import LEAGUE_KEY, LEAGUES, SENDERS
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.state import Overlay, StateView

UNIT_SIZE_BYTES: Final = 4096
_MILLI: Final = 1000
_HOUR_S: Final = 3600


class Signed(msgspec.Struct, frozen=True):
    """What a member signed, whatever it is."""

    did: str
    seq: int
    league: str
    jws: str
    parts: CompactJws


def league_of(state: StateView) -> str:
    """The identifier of a state's league; empty before its first block under these rules."""
    record = LEAGUES.get(state, LEAGUE_KEY)
    return "" if record is None else record.id


def sender_key(state: StateView, signed: Signed) -> PublicJwk:
    """The key with which a member signed something that is new.

    Raises:
        RuleBroken: one of `SENDER_RULES`.
    """
    member = state.member(signed.did)
    if member is None or not member.is_current:
        raise refusals.SENDER_UNKNOWN.broken(f"{signed.did} is not a member of this league.")
    last = last_transaction(state, signed.did).seq
    if signed.seq <= last:
        raise refusals.SENDER_SEQUENCE.broken(f"{signed.seq} of {signed.did} does not follow {last}.")
    if signed.league != league_of(state):
        raise refusals.LEAGUE.broken("It is meant for another league.")
    jwk = member.key(signed.parts.kid)
    if jwk is None:
        raise refusals.SENDER_KEY.broken(f"{signed.did} has no key {signed.parts.kid!r}.")
    check_not_revoked(state, signed.did, jwk.kid)
    return jwk


def verify_signed(signed: Signed, jwk: PublicJwk, context: CheckContext) -> None:
    """Check the signature.

    Raises:
        RuleBroken: `SENDER_SIGNATURE`.
    """
    try:
        context.signatures.verify(signed.jws, signed.parts, jwk)
    except Refused as error:
        raise refusals.SENDER_SIGNATURE.broken(error.message) from error


def check_sender(state: StateView, signed: Signed, context: CheckContext) -> None:
    """Check everything about a sender: membership, order, league, quota, signature.

    Raises:
        RuleBroken: one of `SENDER_RULES`.
    """
    jwk = sender_key(state, signed)
    after = _spent(state, signed)
    excess = after.level - _MILLI * state.params.governance_burst_units
    if excess > 0:
        wait_ms = -(-excess * _HOUR_S // state.params.governance_units_per_hour)
        raise refusals.QUOTA.broken(f"{signed.did} has sent too much at once; wait {wait_ms} ms.", wait_ms)
    verify_signed(signed, jwk, context)


def record_sender(state: Overlay, signed: Signed, raw: bytes) -> None:
    """Take note of a checked transaction.

    Args:
        state: Gets the note.
        signed: What was signed.
        raw: The transaction with it.
    """
    after = msgspec.structs.replace(
        _spent(state, signed), height=state.height, transaction=hashlib.sha256(raw).hexdigest()
    )
    assert after.seq > last_transaction(state, signed.did).seq, "numbers grow"
    SENDERS.put(state, signed.did, after)


def last_transaction(state: StateView, did: str) -> SenderRecord:
    """What is remembered of a sender."""
    return SENDERS.get(state, did) or SenderRecord(did, 0)


def _spent(state: StateView, signed: Signed) -> SenderRecord:
    """The sender's record after the transaction, whether or not it is within the quota."""
    last = last_transaction(state, signed.did)
    elapsed_ms = max(0, state.time_ms - last.level_time_ms)
    units = 1 + len(signed.jws) // UNIT_SIZE_BYTES
    return msgspec.structs.replace(
        last,
        seq=signed.seq,
        level=max(0, last.level - _drained(state.params, elapsed_ms)) + _MILLI * units,
        level_time_ms=max(state.time_ms, last.level_time_ms),
    )


def _drained(params: LedgerParams, elapsed_ms: int) -> int:
    """Thousandths of a unit that drain in a time."""
    return elapsed_ms * params.governance_units_per_hour // _HOUR_S
