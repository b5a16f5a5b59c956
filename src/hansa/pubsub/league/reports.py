"""What is shown of a league: its proposals with votes and reasons, its members with their history.

Everything is derived from one `LeagueState`. What members wrote (names, notes) is another party's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from hansa.core.clock import rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.proposals import read_proposal
from hansa.core.keys import PublicJwk
from hansa.core.members import Member
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.league.texts import ChangeText, describe, describe_decided
from hansa.pubsub.ledger.commitments.governance import (
    DECISION,
    KEY_RECORD,
    LOCATION,
    OPEN_PROPOSAL,
    SUSPENSION,
    VOTE_RECORD,
    OpenProposal,
)
from hansa.pubsub.ledger.rules.changes import SIXTIETHS, threshold_sixtieths
from hansa.pubsub.ledger.rules.governance.tally import void_reason

Outcome = Literal["open", "passed", "expired", "void", "failed"]

NAME_MIN_CHARS: Final = 4
"""Of the beginning of a hash that names a proposal."""


class VoteReport(msgspec.Struct, frozen=True):
    """The last vote of a voter."""

    voter: str
    """DID of the member."""
    name: str
    """Of the voter; empty for one that is no member any more."""
    choice: Literal["no", "yes"]
    """What the voter is for."""
    power: int
    """Voting power of the voter now."""
    height: int
    """Of the block with the vote."""


class ProposalReport(msgspec.Struct, frozen=True):
    """A proposal, what it would change, and what it still needs."""

    hash: str
    """By which votes name it: SHA-256 of what the proposer signed; hex."""
    id: str
    """UUID that the proposer gave it."""
    proposer: str
    """DID of the member that made it."""
    proposer_name: str
    """Name of that member."""
    note: str
    """Why, in the words of the proposer."""
    outcome: Outcome
    """What became of it, or that it is open."""
    reason: str
    """Why it is void or failed, or, while it is open, why the next vote makes it void; empty otherwise."""
    height: int
    """Of the block with the proposal."""
    time: str
    """Of that block; RFC 3339."""
    expires_height: int
    """The last block in which it can be decided."""
    expires_time: str
    """The latest time at which it can be decided; RFC 3339."""
    decided_height: int | None
    """Of the block that decided it; null while it is open."""
    decided_time: str | None
    """Time of that block; RFC 3339."""
    changes: tuple[ChangeText, ...]
    """What it would change, in words."""
    yes_power: int
    """Voting power of those who are for it."""
    no_power: int
    """Voting power of those who are against it."""
    total_power: int
    """Of all validators."""
    needed_power: int
    """What `yes_power` has to be at least."""
    votes: tuple[VoteReport, ...]
    """The last one of each voter."""
    missing: tuple[str, ...]
    """Names of the validators that have not voted on an open proposal."""


class KeyHistory(msgspec.Struct, frozen=True):
    """A signing key of a member, and the positions of the events that it may have signed."""

    kid: str
    since: int
    """First position that the key may have signed."""
    until: int | None
    """Last position; null while the key is valid."""
    valid_until: str | None
    """When the overlap with its successor ends; RFC 3339."""
    jwk: PublicJwk
    """The public key."""


class EndpointHistory(msgspec.Struct, frozen=True):
    """Where a member serves events from a position on, until its next entry."""

    since: int
    endpoint: str


class RegisteredMember(msgspec.Struct, frozen=True):
    """A member, with the keys and endpoints that it has and had."""

    member: Member
    """As the registry has it."""
    keys: tuple[KeyHistory, ...]
    endpoints: tuple[EndpointHistory, ...]
    """Where it has served, in order."""


def proposals(state: LeagueState, *, with_closed: bool = True) -> tuple[ProposalReport, ...]:
    """All proposals, open ones first, the newest first of each."""
    reports = list(_open(state))
    if with_closed:
        reports += _closed(state)
    return tuple(sorted(reports, key=lambda one: (one.outcome != "open", -one.height, one.hash)))


def proposal_named(state: LeagueState, name: str) -> ProposalReport:
    """The proposal of a hash, of the beginning of one, or of an id.

    An id is the choice of the proposer. So one that two proposals have names none of them.

    Raises:
        Refused: `Code.NOT_FOUND`, with what resembles it; `Code.CONFLICT`, when it names several.
    """
    reports = proposals(state)
    named = name.strip().lower()
    matches = [one for one in reports if named in {one.id, one.hash}]
    if not matches and len(named) >= NAME_MIN_CHARS:
        matches = [one for one in reports if one.hash.startswith(named)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(one.hash[:16] for one in matches[:4])
        raise Refused(
            Code.CONFLICT, f"{len(matches)} proposals are named {name[:80]!r}: name one by its hash: {shown}."
        )
    near = [one.hash[:16] for one in reports if one.outcome == "open"][:4]
    hint = f"open proposals: {', '.join(near)}" if near else "no proposal is open"
    raise Refused(Code.NOT_FOUND, f"There is no proposal {name[:80]!r}; {hint}.")


def histories(state: LeagueState) -> tuple[RegisteredMember, ...]:
    """All members with their history."""
    keys: dict[str, list[KeyHistory]] = {}
    endpoints: dict[str, list[EndpointHistory]] = {}
    for key, body in state.records("history").items():
        what, _, rest = key.partition("/")
        did, _, name = rest.partition("/")  # no DID has a slash; the name of a key may have one
        if what == "key":
            keys.setdefault(did, []).append(_key_history(name, body))
        elif what == "location":
            endpoints.setdefault(did, []).append(EndpointHistory(int(name), LOCATION.read(body).endpoint))
    return tuple(
        RegisteredMember(
            member,
            tuple(sorted(keys.get(member.did, ()), key=lambda one: (one.since, one.kid))),
            tuple(endpoints.get(member.did, ())),
        )
        for member in state.members
    )


def _key_history(kid: str, body: bytes) -> KeyHistory:
    record = KEY_RECORD.read(body)
    valid_until = rfc3339_at_ms(record.until_time_ms) if record.until_time_ms else None
    return KeyHistory(kid, record.since, record.until if record.retired else None, valid_until, record.jwk)


def _open(state: LeagueState) -> Iterator[ProposalReport]:
    for name, body in state.records("proposals").items():
        yield _report(state, name, OPEN_PROPOSAL.read(body), state.total_power, is_open=True)


def _closed(state: LeagueState) -> Iterator[ProposalReport]:
    for name, body in state.records("decisions").items():
        decision = DECISION.read(body)
        report = _report(state, name, decision.proposal, decision.total_power, is_open=False)
        yield msgspec.structs.replace(
            report,
            outcome=decision.outcome,
            reason=decision.reason,
            decided_height=decision.height,
            decided_time=rfc3339_at_ms(decision.time_ms),
            yes_power=decision.yes_power,
            no_power=decision.no_power,
            missing=(),
        )


def _report(
    state: LeagueState, name: str, stored: OpenProposal, total_power: int, *, is_open: bool
) -> ProposalReport:
    proposal, _ = read_proposal(stored.jws)
    votes = _votes(state, name)
    voted = {one.voter for one in votes}
    powers = {one.did: voting_power(one, state) for one in state.members}
    in_words = describe if is_open else describe_decided
    return ProposalReport(
        hash=name,
        id=stored.id,
        proposer=stored.proposer,
        proposer_name=_name(stored.proposer, state),
        note=proposal.note,
        outcome="open",
        reason=(void_reason(state, proposal) or "") if is_open else "",
        height=stored.height,
        time=rfc3339_at_ms(stored.time_ms),
        expires_height=proposal.expires_height,
        expires_time=rfc3339_at_ms(proposal.expires_time_ms),
        decided_height=None,
        decided_time=None,
        changes=tuple(in_words(change, state) for change in proposal.changes),
        yes_power=sum(one.power for one in votes if one.choice == "yes"),
        no_power=sum(one.power for one in votes if one.choice == "no"),
        total_power=total_power,
        needed_power=needed_power(proposal.changes, state, total_power),
        votes=votes,
        missing=tuple(one.name for one in state.members if powers[one.did] and one.did not in voted),
    )


def _votes(state: LeagueState, proposal: str) -> tuple[VoteReport, ...]:
    beginning = f"{proposal}/"
    votes = []
    for key, body in state.records("votes").items():
        if key.startswith(beginning):
            did, record = key.removeprefix(beginning), VOTE_RECORD.read(body)
            member = state.member(did)
            power = 0 if member is None else voting_power(member, state)
            votes.append(VoteReport(did, _name(did, state), record.choice, power, record.height))
    return tuple(votes)


def voting_power(member: Member, state: LeagueState) -> int:
    """The power with which a member votes now."""
    return (
        0
        if not member.is_current
        else sum(one.power for one in state.validators.values() if one.public_key == member.validator_key)
    )


def _name(did: str, state: LeagueState) -> str:
    member = state.member(did)
    return "" if member is None else member.name


def needed_power(changes: Iterable[LeagueChange], state: LeagueState, total_power: int) -> int:
    """The voting power that a proposal needs at least: more than the largest of its changes' thresholds."""
    return threshold_sixtieths(changes, state.params) * total_power // SIXTIETHS + 1


def suspended_until(did: str, state: LeagueState) -> str | None:
    """Until when a member may publish nothing (RFC 3339); empty: until a vote; None: it may publish."""
    member, body = state.member(did), state.record("suspensions", did)
    if member is None or member.status != "suspended":
        return None
    suspension = None if body is None else SUSPENSION.read(body)
    return "" if suspension is None or suspension.ended else rfc3339_at_ms(suspension.until_time_ms)


def key_valid_until(did: str, kid: str, state: LeagueState) -> str | None:
    """When a key of a member ceases to be valid (RFC 3339); None: it is valid without limit, or no more."""
    body = state.record("history", f"key/{did}/{kid}")
    if body is None:
        return None
    record = KEY_RECORD.read(body)
    return rfc3339_at_ms(record.until_time_ms) if record.until_time_ms and not record.retired else None
