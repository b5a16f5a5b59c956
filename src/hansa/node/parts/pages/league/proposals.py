"""The league's proposals, as `hansa league show|propose|vote` have them; votes by the marketplace's key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.governance.changes import (
    CHANGE_FORMS,
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
    VotedStatus,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import verify_candidacy
from hansa.core.governance.proposals import NOTE_LENGTH_MAX_CHARS, proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.core.members import POWER_MAX
from hansa.node.ledger_access.kinds import NodeBus
from hansa.portal.operators.league.proposals import (
    ChangeEffect,
    DesiredChange,
    FormChoices,
    LeagueProposal,
    ProposalKind,
    ProposedEffect,
)
from hansa.pubsub.league.reports import needed_power, voting_power
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.league.texts import describe
from hansa.pubsub.league.writing import base_of, expiry
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from hansa.pubsub.ledger.results import RuleBroken

DAY_S: Final = 86_400
HOUR_S: Final = 3600
HOURS_MAX: Final = 366 * 24
NUMBER_MAX: Final = 2**53 - 1
STATUSES: Final[Mapping[ProposalKind, VotedStatus]] = MappingProxyType(
    {"suspend": "suspended", "activate": "active", "remove": "removed"}
)
"""Of a member, that a vote on one of these kinds gives it."""


class LeagueProposals:
    """The proposals.

    Args:
        did: Of this marketplace.
        bus: The ledger; what it is read for is read as strangers read it.
        key: Of this marketplace.
        clock: For expiry and the claimed time of signing.
        entropy: For the identifiers of proposals.
    """

    def __init__(self, did: str, bus: NodeBus, key: KeySigner, clock: Clock, entropy: Entropy) -> None:
        self._did = did
        self._bus = bus
        self._key = key
        self._clock = clock
        self._entropy = entropy

    async def proposals(self) -> tuple[LeagueProposal, ...]:
        """See `hansa.portal.operators.league.proposals.ProposalReads`."""
        reports = await self._bus.for_strangers.proposals(with_closed=True)
        return tuple(msgspec.convert(one, LeagueProposal, from_attributes=True) for one in reports)

    async def proposal(self, name: str) -> LeagueProposal:
        """See `ProposalReads`."""
        report = await self._bus.for_strangers.proposal(name)
        return msgspec.convert(report, LeagueProposal, from_attributes=True)

    async def choices(self) -> FormChoices:
        """See `ProposalReads`."""
        state = await self._bus.for_strangers.league()
        me = state.member(self._did)
        parameters = msgspec.structs.asdict(state.params).items()
        return FormChoices(
            members=tuple((one.did, one.name) for one in state.members if one.is_current),
            parameters=tuple((name, value) for name, value in parameters if isinstance(value, int)),
            own_power=0 if me is None else voting_power(me, state),
            own_did=self._did,
        )

    async def effect(self, desired: DesiredChange) -> ProposedEffect:
        """See `ProposalReads`."""
        state = await self._bus.for_strangers.league()
        change = change_of(desired, state, _league_id(state))
        self._base(change, state)
        needed = needed_power([change], state, state.total_power)
        effect = msgspec.convert(describe(change, state), ChangeEffect, from_attributes=True)
        return ProposedEffect(effect, needed, state.total_power)

    async def propose(self, desired: DesiredChange) -> str:
        """See `ProposalReads`."""
        state = await self._bus.league()
        signer, change = self._signer(state), change_of(desired, state, _league_id(state))
        base, expires = self._base(change, state), expiry(state, int(desired.days) * DAY_S, self._clock)
        governed = await self._bus.govern(
            "propose",
            self._did,
            lambda seq: signer.propose(
                [change],
                base,
                seq=seq,
                expires_height=expires.height,
                expires_time_ms=expires.time_ms,
                entropy=self._entropy,
                note=desired.note[:NOTE_LENGTH_MAX_CHARS],
            ),
        )
        return proposal_hash(governed.jws)

    async def vote(self, hash: str, choice: Literal["no", "yes"]) -> None:
        """See `ProposalReads`."""
        report = await self._bus.proposal(hash)
        if report.outcome != "open":
            raise Refused(Code.CONFLICT, f"The proposal is closed: {report.outcome}.")
        signer = self._signer(await self._bus.league())
        await self._bus.govern("vote", self._did, lambda seq: signer.vote(report.hash, choice, seq=seq))

    def _signer(self, state: LeagueState) -> GovernanceSigner:
        return GovernanceSigner(self._key, self._did, _league_id(state), self._clock)

    def _base(self, change: LeagueChange, state: LeagueState) -> Any:
        try:
            return base_of([change], state)
        except RuleBroken as error:
            raise Refused(Code.INVALID, str(error)) from error


def _league_id(state: LeagueState) -> str:
    """Of the league.

    Raises:
        Refused: `Code.NOT_IMPLEMENTED`.
    """
    record = state.record("league", "league")
    if record is None:
        raise Refused(Code.NOT_IMPLEMENTED, f"This league judges by {state.ruleset}, which has no votes.")
    return LEAGUE.read(record).id


def change_of(desired: DesiredChange, state: LeagueState, league: str) -> LeagueChange:
    """The change that a form describes.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    if desired.kind == "admit":
        return _admission(desired, league)
    if desired.kind == "param":
        return _parameter(desired, state)
    if desired.kind == "issuer":
        return _issuer(desired.text)
    if state.member(desired.member) is None:
        raise Refused(Code.INVALID, "Choose a member of the league.")
    if desired.kind == "power":
        return ValidatorPower(desired.member, _number(desired.number, "Voting power", POWER_MAX))
    if desired.kind == "suspend" and desired.number:
        hours = _number(desired.number, "The number of hours", HOURS_MAX)
        return Suspension(desired.member, max(hours, 1) * HOUR_S)
    return MemberStatusChange(desired.member, STATUSES[desired.kind])


def _admission(desired: DesiredChange, league: str) -> LeagueChange:
    text = desired.text
    if text.startswith("{"):
        text = str(_json(text).get("candidacy", ""))
    try:
        verify_candidacy(text, league)
    except Refused as error:
        raise Refused(
            Code.INVALID, f"What is pasted is no candidacy for this league: {error.message}"
        ) from error
    return MemberPut(text, _number(desired.number or "0", "Voting power", POWER_MAX))


def _parameter(desired: DesiredChange, state: LeagueState) -> LeagueChange:
    if desired.parameter not in {one.name for one in msgspec.structs.fields(type(state.params))}:
        raise Refused(Code.INVALID, "Choose a parameter of the league.")
    return ParamSet(desired.parameter, _number(desired.number, "The value", NUMBER_MAX))


def _issuer(text: str) -> LeagueChange:
    content = _json(text)
    if "change" not in content:
        content = {"change": "issuer.put", "issuer": content}
    kind = content["change"]
    if kind not in ("issuer.put", "issuer.remove"):
        raise Refused(Code.INVALID, "change is issuer.put or issuer.remove.")
    try:
        made: LeagueChange = CHANGE_FORMS[kind].read(canonical_json(content))
    except Refused as error:
        raise Refused(Code.INVALID, f"What is pasted is not {kind} in its form: {error.message}") from error
    return made


def _json(text: str) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(text)
    except UNREADABLE as error:
        raise Refused(Code.INVALID, "What is pasted is no JSON.") from error
    if not isinstance(content, dict):
        raise Refused(Code.INVALID, "What is pasted is no JSON object.")
    return content


def _number(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > most:
        raise Refused(Code.INVALID, f"{what} is a whole number from 0 to {most}.")
    return int(text)
