"""Histories of leagues, each compared with a plain model after every block.

`HANSA_HISTORIES` says how many; `make governance-histories` runs a thousand.
"""

from __future__ import annotations

import os
from functools import cache

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hansa.core.governance.changes import (
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.statements import EndpointSet, KeyRotate, Leave
from hansa.core.keys import SigningKey
from hansa.pubsub.ledger.commitments.histories import ledger_history
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.results import FAULT, RuleBroken
from hansa.pubsub.ledger.rules.governance.powers import powers
from hansa.pubsub.ledger.rules.governance.tables import OWNERS, PROPOSALS
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger_records import Misbehavior
from tests.support.governance_model import Bounds, GovernanceModel, ProposalModel, Refusal
from tests.support.governed import PARAMS, TIME_MS, GovernedLeague, Governor, validator_hex

TRUST_S, SUSPENSION_S, LIFE_S = 60, 30, 60
NAMES = ("lubeck", "bergen", "riga", "bruges", "visby")
LIMITS = msgspec.structs.replace(
    PARAMS,
    trust_period_s=TRUST_S,
    suspension_max_s=SUSPENSION_S,
    proposal_life_max_s=LIFE_S,
    proposals_open_per_proposer_max=2,
    proposal_retention_s=50,
)


@cache
def founders() -> tuple[Governor, ...]:
    """The same in every history, so that their keys are made once."""
    return tuple(Governor(name) for name in NAMES)


@cache
def candidates(league: str) -> tuple[Governor, ...]:
    return tuple(Governor(f"candidate-{number}", league) for number in range(3))


@cache
def candidacy(league: str, number: int) -> str:
    return candidates(league)[number].candidacy()


@cache
def spare_keys() -> tuple[SigningKey, ...]:
    return tuple(SigningKey.generate("Ed25519") for _ in range(8))


class Histories(RuleBasedStateMachine):
    """Blocks with at most one transaction each."""

    def __init__(self) -> None:
        super().__init__()
        for one in founders():
            one.seq, one.key = 0, one.first_key
        self.league = GovernedLeague(params=LIMITS, governors=founders())
        self.people = [*founders(), *candidates(self.league.league)]
        for one in self.people:
            one.seq = 0
        bounds = Bounds(1000 * TRUST_S, 1000 * SUSPENSION_S, 1000 * LIFE_S, 2)
        self.model = GovernanceModel({one.did: 10 for one in founders()}, bounds, TIME_MS)
        self.names: list[str] = []
        self.sent: list[bytes] = []
        self.unused_keys = list(spare_keys())
        self.rotated: dict[str, tuple[SigningKey, int]] = {}
        self.owners: dict[str, str] = {}

    @initialize(seconds=st.integers(1, 3))
    def begin(self, seconds: int) -> None:
        self.model.begin(seconds)
        self.model.end()
        self.block(None, seconds=seconds)

    def block(self, raw: bytes | None, seconds: int = 1, punished: Governor | None = None) -> int:
        """Decide a block; the result code of its transaction."""
        evidence = []
        if punished is not None:
            address = validator_address(validator_hex(punished.validator))
            evidence = [Misbehavior(address, self.league.state.head.height + 1, "duplicate_vote")]
        transactions = () if raw is None else (raw,)
        effects = self.league.commit(*transactions, seconds=seconds, misbehavior=evidence)
        refusal = effects.refusals[0] if raw is not None else None
        assert refusal is None or isinstance(refusal, RuleBroken)
        if raw is not None:
            self.sent.append(raw)
        number = 0 if refusal is None else refusal.rule.number
        assert number != FAULT.number
        return number

    def step(self, raw: bytes, seconds: int, act: object) -> None:
        """One transaction, in the league and in the model."""
        self.model.begin(seconds)
        try:
            act()  # type: ignore[operator]
            expected = True
        except Refusal:
            expected = False
        self.model.end()
        number = self.block(raw, seconds)
        assert (number == 0) is expected, (number, expected)

    # -- what happens --------------------------------------------------------------------------------------

    who = st.integers(0, 7)
    pause = st.sampled_from([1, 1, 1, 2, 10, 40])

    @rule(
        by=who,
        about=who,
        kind=st.sampled_from(
            ["param", "power", "power", "suspended", "active", "removed", "suspend", "admit"]
        ),
        number=st.integers(0, 16),
        seconds=pause,
        life=st.sampled_from([(100, 50), (2, 50), (100, 5), (100, LIFE_S + 30), (0, 10)]),
    )
    def propose(
        self, by: int, about: int, kind: str, number: int, seconds: int, life: tuple[int, int]
    ) -> None:
        subject, proposer = self.people[about], self.people[by]
        change, plain = self._change(kind, subject, about, number)
        compact = self.league.proposal(proposer, change, blocks=life[0] + 1, life_s=life[1] + seconds)
        name = proposal_hash(compact)
        model = self.model
        proposal = ProposalModel(
            name,
            plain,
            {one: model.element(one) for one in model.touched(plain)},
            self.league.state.head.height + life[0] + 1,
            self.league.time_ms + 1000 * (life[1] + seconds),
        )
        self.step(encode_proposal(compact), seconds, lambda: model.propose(proposer.did, proposal))
        self.names.append(name)

    def _change(
        self, kind: str, subject: Governor, about: int, number: int
    ) -> tuple[LeagueChange, tuple[object, ...]]:
        did = subject.did
        if kind == "param":
            return ParamSet("heartbeat_s", 10 + number), ("param", 10 + number)
        if kind == "power":
            return ValidatorPower(did, number), ("power", did, number)
        if kind == "suspend":
            return Suspension(did, 1 + number), ("suspend", did, 1 + number)
        if kind == "admit":
            place = about % 3
            candidate = candidates(self.league.league)[place]
            power = number % 12
            return MemberPut(candidacy(self.league.league, place), power), ("admit", candidate.did, power)
        return MemberStatusChange(did, kind), ("status", did, kind)  # type: ignore[arg-type]

    @precondition(lambda self: self.names)
    @rule(by=who, at=st.integers(0, 3), choice=st.sampled_from(["yes", "yes", "yes", "no"]), seconds=pause)
    def vote(self, by: int, at: int, choice: str, seconds: int) -> None:
        voter, name = self.people[by], self._pick(at)
        raw = voter.vote(name, choice)  # type: ignore[arg-type]
        self.step(raw, seconds, lambda: self.model.vote(voter.did, name, choice))

    @precondition(lambda self: self.names)
    @rule(at=st.integers(0, 2), voters=st.integers(2, 8))
    def vote_together(self, at: int, voters: int) -> None:
        name = self._pick(at)
        for voter in self.people[:voters]:
            self.step(voter.vote(name), 1, lambda did=voter.did: self.model.vote(did, name, "yes"))

    def _pick(self, at: int) -> str:
        """An open proposal, if there is one."""
        names = [name for name in self.names if name in self.model.open] or self.names
        return names[-1 - at % len(names)]

    @rule(
        about=who,
        kind=st.sampled_from(["param", "power", "suspended", "active", "removed", "suspend", "admit"]),
        number=st.integers(8, 12),
    )
    def decide(self, about: int, kind: str, number: int) -> None:
        """A proposal for which everybody votes."""
        self.propose(about % len(NAMES), about, kind, number, 1, (100, 50))
        if self.names[-1] in self.model.open:
            for voter in self.people[: len(NAMES)]:
                did = voter.did
                name = self.names[-1]
                self.step(voter.vote(name), 1, lambda did=did, name=name: self.model.vote(did, name, "yes"))

    @rule(by=who, seconds=pause)
    def leave(self, by: int, seconds: int) -> None:
        member = self.people[by]
        self.step(member.state(Leave()), seconds, lambda: self.model.leave(member.did))

    @rule(about=who, seconds=pause)
    def punish(self, about: int, seconds: int) -> None:
        offender = self.people[about]
        if offender.did not in self.model.members:
            return
        self.model.begin(seconds, offender.did)
        self.model.end()
        self.block(None, seconds, offender)

    @rule(by=who, overlap_s=st.sampled_from([0, 0, 20]), seconds=pause)
    def rotate(self, by: int, overlap_s: int, seconds: int) -> None:
        member = self.people[by]
        if not self.unused_keys or by >= len(NAMES):
            return
        new, old = self.unused_keys.pop(), member.key
        raw = member.state(KeyRotate(member.possession(new), overlap_s, old.kid))
        self.step(raw, seconds, lambda: self.model._need_member(member.did))
        if self.model.is_member(member.did):
            member.key = new
            self.rotated[member.did] = old, self.league.time_ms + 1000 * overlap_s

    @precondition(lambda self: self.rotated)
    @rule(at=who, seconds=pause)
    def use_a_replaced_key(self, at: int, seconds: int) -> None:
        did = sorted(self.rotated)[at % len(self.rotated)]
        old, until_ms = self.rotated[did]
        member = next(one for one in self.people if one.did == did)
        raw = member.state(EndpointSet(member.endpoint), old)

        def act() -> None:
            self.model._need_member(did)
            if self.model.time_ms >= until_ms:
                raise Refusal("the key is retired")

        self.step(raw, seconds, act)

    @rule(by=who, of=who, seconds=pause)
    def set_endpoint(self, by: int, of: int, seconds: int) -> None:
        member, other = self.people[by], self.people[of]

        def act() -> None:
            self.model._need_member(member.did)
            if by != of and other.did in self.model.members:
                raise Refusal("another's")

        if by == of or other.did in self.model.members:
            self.step(member.state(EndpointSet(other.endpoint)), seconds, act)

    @precondition(lambda self: self.sent)
    @rule(at=st.integers(0, 50), what=st.sampled_from(["replay", "flip", "cut", "swap"]), seconds=pause)
    def attack(self, at: int, what: str, seconds: int) -> None:
        raw = self.sent[at % len(self.sent)]
        place = 1 + (at * 7919) % (len(raw) - 1) if len(raw) > 1 else 0
        hostile = {
            "replay": raw,
            "flip": raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :],
            "cut": raw[:place],
            "swap": raw.replace(b'"kind":"vote","vote"', b'"kind":"member","statement"'),
        }[what]

        def act() -> None:
            raise Refusal

        if not self._may_be_valid(hostile):
            self.step(hostile, seconds, act)

    def _may_be_valid(self, raw: bytes) -> bool:
        """Whether it was refused before, and may be valid now: who signed it sent nothing since."""
        kinds = self.league.application._reader.rules(self.league.state).kinds
        kind = next((one for one in kinds if raw.startswith(one.prefix)), None)
        if kind is None:
            return False
        try:
            kind.admit(self.league.state, raw)
        except RuleBroken:
            return False
        return raw in self.sent

    @rule(seconds=st.sampled_from([1, 5, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.model.begin(seconds)
        self.model.end()
        self.block(None, seconds)

    # -- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def agrees_with_the_model(self) -> None:
        state, model = self.league.state, self.model
        assert state.params.heartbeat_s == model.limit
        actual = {one.did: (one.status, one.power) for one in state.members}
        assert actual == {did: (one.status, one.power) for did, one in model.members.items()}
        assert set(PROPOSALS.keys(state)) == set(model.open)
        for name in self.names[-6:]:
            outcome = self.league.outcome(name)
            assert outcome == "open" or model.outcomes[name] == outcome

    @invariant()
    def is_sound(self) -> None:
        state = self.league.state
        voting = powers(state)
        assert sum(voting.values()) > 0
        by_key = {
            validator_address(one.validator_key): one.power for one in state.members if one.validator_key
        }
        assert {address: power for address, power in by_key.items() if power} == voting
        owners = self._owners()
        for key, owner in self.owners.items():
            assert owners[key] == owner, "what belongs to somebody belongs to nobody else"
        self.owners = owners
        history = ledger_history(state.records("history"))
        for member in state.members:
            assert history.endpoint(member.did, state.position + 1) == member.endpoint

    def _owners(self) -> dict[str, str]:
        state = self.league.state
        owned = [key for key in OWNERS.keys(state) if not key.startswith(("key/", "location/", "proposal/"))]
        return {key: owner.owner for key in owned if (owner := OWNERS.get(state, key)) is not None}

    def teardown(self) -> None:
        self.league.state.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=int(os.environ.get("HANSA_HISTORIES", "15")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
