"""Transactions of kind `propose`: `{"kind":"propose","proposal":"<JWS>"}`.

A proposal is checked as if it passed at once: its changes are tried on a state that is thrown away, so
nothing is put to the vote that could not take effect. What it is written against must be what is there.
"""

from __future__ import annotations

from typing import Final

from hansa.core.governance.proposals import ChangeProposal, proposal_hash, read_proposal
from hansa.core.jws import CompactJws
from hansa.pubsub.ledger.commitments.governance import OpenProposal
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.certificates import CERTIFICATE_RULES
from hansa.pubsub.ledger.rules.changes import kind_of
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.governance.agenda import AT_HEIGHT, AT_TIME, schedule
from hansa.pubsub.ledger.rules.governance.history import claim_name
from hansa.pubsub.ledger.rules.governance.senders import Signed
from hansa.pubsub.ledger.rules.governance.signed_kind import SignedPayload, SignedStep, signed_kind
from hansa.pubsub.ledger.rules.governance.tables import OWNERS, PROPOSALS
from hansa.pubsub.ledger.rules.governance.tally import apply_changes, check_touched
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.state import Overlay


def _signed(proposal: ChangeProposal, compact: str, parts: CompactJws) -> Signed:
    return Signed(proposal.proposer, proposal.seq, proposal.league, compact, parts)


def _check_size(compact: str, params: LedgerParams) -> None:
    if len(compact) > params.proposal_size_max_bytes:
        raise refusals.PROPOSAL_SIZE.broken(
            f"The proposal has {len(compact)} bytes; {params.proposal_size_max_bytes} are allowed."
        )


def _check(state: Overlay, step: SignedStep, context: CheckContext) -> None:
    proposal: ChangeProposal = step.payload
    _check_life(state, proposal)
    _check_number(state, proposal.proposer)
    if OWNERS.get(state, f"proposal/{proposal.id}") is not None:
        raise refusals.PROPOSAL_ID.broken(f"The id {proposal.id} was used before.")
    for change in proposal.changes:
        kind_of(change).check(state, change, context)
    if not check_touched(state, proposal):
        raise refusals.BASE.broken("`base` does not name what the changes touch, as it is now.")
    apply_changes(state.upper(), proposal)


def _check_life(state: Overlay, proposal: ChangeProposal) -> None:
    params = state.params
    blocks, life_ms = proposal.expires_height - state.height, proposal.expires_time_ms - state.time_ms
    if blocks < 0 or life_ms < 0:
        raise refusals.EXPIRY.broken("The proposal has expired.")
    if blocks > params.proposal_life_max_blocks or life_ms > 1000 * params.proposal_life_max_s:
        raise refusals.EXPIRY.broken(
            f"A proposal is open for {params.proposal_life_max_blocks} blocks and {params.proposal_life_max_s} s "
            "at most."
        )


def _check_number(state: Overlay, proposer: str) -> None:
    mine = sum(record.proposer == proposer for _, record in PROPOSALS.items(state))
    if mine >= state.params.proposals_open_per_proposer_max:
        raise refusals.TOO_MANY.broken(f"{mine} proposals of {proposer} are open.", 1000)
    count = len(PROPOSALS.keys(state))
    if count >= state.params.proposals_open_max:
        raise refusals.TOO_MANY.broken(f"{count} proposals are open.", 1000)


def _apply(state: Overlay, step: SignedStep) -> None:
    proposal: ChangeProposal = step.payload
    name = proposal_hash(step.signed.jws)
    claim_name(state, "proposal", proposal.id, proposal.proposer)
    record = OpenProposal(state.height, proposal.id, step.signed.jws, proposal.proposer, state.time_ms)
    PROPOSALS.put(state, name, record)
    schedule(state, AT_HEIGHT, proposal.expires_height + 1, "proposal", name)
    schedule(state, AT_TIME, proposal.expires_time_ms + 1, "proposal", name)


PROPOSE: Final = signed_kind(
    SignedPayload("propose", "proposal", read_proposal, _signed, _check_size),
    rules=(
        *(refusals.PROPOSAL_SIZE, refusals.EXPIRY, refusals.TOO_MANY, refusals.PROPOSAL_ID, refusals.BASE),
        *refusals.CHANGE_RULES,
        *CERTIFICATE_RULES,
    ),
    check=_check,
    apply=_apply,
)
"""The kind `propose`."""


def encode_proposal(compact: str) -> bytes:
    """The transaction with a proposal's JWS."""
    return PROPOSE.write(proposal=compact)
