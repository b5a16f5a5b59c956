"""The league's proposals, as `hansa league show|propose|vote` have them; votes by the marketplace's key."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.proposals import NOTE_LENGTH_MAX_CHARS, proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.core.trust.certificates import ANCHORS, TRUST_ANCHOR
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, POLICY_TABLE
from hansa.node.ledger_access.kinds import NodeBus
from hansa.node.parts.pages.league.proposed_changes import change_of
from hansa.portal.operators.league.proposals import (
    ChangeEffect,
    DesiredChange,
    FormChoices,
    LeagueProposal,
    ProposedEffect,
)
from hansa.pubsub.league.reports import needed_power, voting_power
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.league.texts import describe
from hansa.pubsub.league.writing import base_of, expiry
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.rulesets import RULESETS

DAY_S: Final = 86_400


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
            anchors=tuple((key, TRUST_ANCHOR.read(one).name) for key, one in state.records(ANCHORS).items()),
            rulesets=tuple(RULESETS),
            ruleset=state.ruleset,
            height=state.height,
            policy=_table(state),
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


def _table(state: LeagueState) -> str:
    """The table of distribution policies as it is, as JSON that can be changed and proposed."""
    body = state.record(POLICIES, DISTRIBUTION)
    if body is None:
        return "[]"
    return msgspec.json.format(msgspec.json.encode(POLICY_TABLE.read(body).rows), indent=2).decode()
