"""Transactions of kind `vote`: `{"kind":"vote","vote":"<JWS>"}`.

Of several votes of one voter on a proposal the last counts. The vote that decides takes effect in its
block.
"""

from __future__ import annotations

from typing import Final

from hansa.core.governance.proposals import Vote, read_vote
from hansa.core.jws import CompactJws
from hansa.pubsub.ledger.commitments.governance import VoteRecord
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.governance.powers import power_of
from hansa.pubsub.ledger.rules.governance.senders import Signed
from hansa.pubsub.ledger.rules.governance.signed_kind import SignedPayload, SignedStep, signed_kind
from hansa.pubsub.ledger.rules.governance.tables import PROPOSALS, VOTES
from hansa.pubsub.ledger.rules.governance.tally import tally
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.state import Overlay

UNKNOWN_WAIT_MS: Final = 500
"""A voter may know a proposal a moment before another member does."""
VOTE_LENGTH_MAX_CHARS: Final = 4096


def _signed(vote: Vote, compact: str, parts: CompactJws) -> Signed:
    return Signed(vote.voter, vote.seq, vote.league, compact, parts)


def _check_size(compact: str, params: LedgerParams) -> None:
    del params
    if len(compact) > VOTE_LENGTH_MAX_CHARS:
        raise refusals.PROPOSAL_SIZE.broken(f"A vote has {VOTE_LENGTH_MAX_CHARS} bytes at most.")


def _check(state: Overlay, step: SignedStep, context: CheckContext) -> None:
    del context
    vote: Vote = step.payload
    if PROPOSALS.get(state, vote.proposal) is None:
        raise refusals.PROPOSAL_UNKNOWN.broken(f"No proposal {vote.proposal} is open.", UNKNOWN_WAIT_MS)
    if not power_of(state, state.member(vote.voter)):
        raise refusals.VOTER.broken(f"{vote.voter} has no voting power.")


def _apply(state: Overlay, step: SignedStep) -> None:
    vote: Vote = step.payload
    record = VoteRecord(vote.choice, state.height, step.signed.jws)
    VOTES.put(state, f"{vote.proposal}/{vote.voter}", record)
    tally(state, vote.proposal)


VOTE: Final = signed_kind(
    SignedPayload("vote", "vote", read_vote, _signed, _check_size),
    rules=(refusals.PROPOSAL_SIZE, refusals.PROPOSAL_UNKNOWN, refusals.VOTER),
    check=_check,
    apply=_apply,
)
"""The kind `vote`."""


def encode_vote(compact: str) -> bytes:
    """The transaction with a vote's JWS."""
    return VOTE.write(vote=compact)
