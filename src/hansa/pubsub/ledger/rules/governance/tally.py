"""Counting the votes on open proposals, and closing those that are decided.

A proposal passes when more power is for it than its threshold says, of all power that votes at the tally.
It takes effect in that block, all of its changes or none. Votes count with the power that their voters
have at the tally, and a voter without power counts for nothing. Tallied is at each vote, and at the begin
of the block after powers or elements changed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.governance.proposals import ChangeProposal, read_proposal
from hansa.pubsub.ledger.commitments.governance import ClosedProposal, OpenProposal, Outcome
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.changes import SIXTIETHS, kind_of, threshold_sixtieths, touched_elements
from hansa.pubsub.ledger.rules.changes.elements import ElementsView, base_of
from hansa.pubsub.ledger.rules.governance.agenda import AT_HEIGHT, AT_TIME, schedule
from hansa.pubsub.ledger.rules.governance.powers import check_powers, power_of, powers
from hansa.pubsub.ledger.rules.governance.tables import DECISIONS, OWNERS, PROPOSALS, VOTES
from hansa.pubsub.ledger.state import Overlay, StateView

_REASON_MAX_CHARS: Final = 300


class Tally(msgspec.Struct, frozen=True):
    """How the votes on a proposal stand."""

    yes_power: int
    no_power: int
    total_power: int
    """Of everybody who may vote."""

    def passes(self, sixtieths: int) -> bool:
        """Whether more than so many sixtieths of all power are for it."""
        return SIXTIETHS * self.yes_power > sixtieths * self.total_power


def count_votes(state: StateView, proposal: str) -> Tally:
    """The votes on a proposal, of the voters who have power now.

    Args:
        state: With the votes.
        proposal: Its hash.
    """
    sums = {"yes": 0, "no": 0}
    for key, vote in VOTES.items(state, f"{proposal}/"):
        member = state.member(key.partition("/")[2])
        if member is not None and member.is_current:
            sums[vote.choice] += power_of(state, member)
    return Tally(sums["yes"], sums["no"], sum(powers(state).values()))


def void_reason(view: ElementsView, proposal: ChangeProposal) -> str | None:
    """Which element is another than when a proposal was written, in words; None: it can be decided."""
    present = base_of(view, [one.element for one in proposal.base])
    changed = [one.element for one, now in zip(proposal.base, present, strict=True) if one != now]
    return f"Changed meanwhile: {', '.join(changed)}."[:_REASON_MAX_CHARS] if changed else None


def apply_changes(state: Overlay, proposal: ChangeProposal) -> None:
    """Let the changes of a proposal take effect.

    Raises:
        RuleBroken: they cannot; the state may have some of them, so it must be one on trial.
    """
    before = powers(state)
    for change in proposal.changes:
        kind_of(change).apply(state, change)
    if powers(state) != before:
        check_powers(state)


def tally(state: Overlay, name: str) -> None:
    """Decide an open proposal if it can be decided.

    Args:
        state: Changes.
        name: Its hash.
    """
    record = PROPOSALS.get(state, name)
    assert record is not None, "the proposal is open"
    proposal, _ = read_proposal(record.jws)
    count = count_votes(state, name)
    if _is_over(state, proposal):
        close(state, name, record, "expired", count)
        return
    reason = void_reason(state, proposal)
    if reason is not None:
        close(state, name, record, "void", count, reason)
        return
    if not count.passes(threshold_sixtieths(proposal.changes, state.params)):
        return
    trial = state.upper()
    try:
        apply_changes(trial, proposal)
    except RuleBroken as broken:
        close(state, name, record, "failed", count, broken.message[:_REASON_MAX_CHARS])
        return
    state.absorb(trial)
    close(state, name, record, "passed", count)
    schedule(state, AT_HEIGHT, state.height + 1, "tally", "")


def tally_all(state: Overlay, subject: str = "") -> None:
    """Decide every open proposal that can be decided."""
    del subject
    for name in PROPOSALS.keys(state):
        tally(state, name)


def expire(state: Overlay, name: str) -> None:
    """Close a proposal whose time is over, unless it is closed."""
    record = PROPOSALS.get(state, name)
    if record is None:
        return
    proposal, _ = read_proposal(record.jws)
    if _is_over(state, proposal):
        close(state, name, record, "expired", count_votes(state, name))


def _is_over(state: Overlay, proposal: ChangeProposal) -> bool:
    return state.height > proposal.expires_height or state.time_ms > proposal.expires_time_ms


def close(
    state: Overlay, name: str, record: OpenProposal, outcome: Outcome, count: Tally, reason: str = ""
) -> None:
    """Put a proposal among the decisions."""
    PROPOSALS.remove(state, name)
    decision = ClosedProposal(
        height=state.height,
        outcome=outcome,
        proposal=record,
        time_ms=state.time_ms,
        no_power=count.no_power,
        reason="".join(letter for letter in reason if letter >= " "),
        total_power=count.total_power,
        yes_power=count.yes_power,
    )
    DECISIONS.put(state, name, decision)
    if outcome != "passed":
        forgotten_ms = state.time_ms + 1000 * state.params.proposal_retention_s
        schedule(state, AT_TIME, forgotten_ms, "decision", name)


def forget_decision(state: Overlay, name: str) -> None:
    """Remove a decision that changed nothing, with its votes."""
    decision = DECISIONS.get(state, name)
    assert decision is not None and decision.outcome != "passed", "what passed is remembered"  # noqa: PT018
    for key in VOTES.keys(state, f"{name}/"):
        VOTES.remove(state, key)
    DECISIONS.remove(state, name)
    OWNERS.remove(state, f"proposal/{decision.proposal.id}")


def check_touched(state: StateView, proposal: ChangeProposal) -> bool:
    """Whether `base` names exactly the elements that the changes touch, as they are."""
    return proposal.base == base_of(state, touched_elements(proposal.changes))
