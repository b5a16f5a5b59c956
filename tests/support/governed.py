"""A league under rules with governance, without an engine: its members propose, vote and state."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from hansa.core.clock import ManualClock
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import CANDIDACY, Candidacy, prove_possession
from hansa.core.governance.proposals import Choice, proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.governance.statements import MemberAction
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.changes import touched_elements
from hansa.pubsub.ledger.rules.changes.elements import base_of
from hansa.pubsub.ledger.rules.governance.senders import league_of
from hansa.pubsub.ledger.rules.governance.tables import DECISIONS, PROPOSALS
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger.rules.statement import encode_statement
from hansa.pubsub.ledger.rules.vote import encode_vote
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import BlockEffects
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import Misbehavior

TIME_MS = 1_767_225_600_000
BLOCK_MS = 1000
CLOCK = ManualClock(datetime.fromtimestamp(TIME_MS / 1000, UTC))
PARAMS = LedgerParams(governance_burst_units=100_000, governance_units_per_hour=1_000_000)


def engine_key(seed: str) -> SigningKey:
    """An Ed25519 key from a text, as those of engines."""
    private = hashlib.sha256(seed.encode()).digest()

    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    fields: dict[str, str | list[str]] = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": _b64(private),
        "x": _b64(public),
    }
    return SigningKey(OKPKey.import_key(fields))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def validator_hex(key: SigningKey) -> str:
    """A validator's key as the registry names it."""
    return base64.urlsafe_b64decode(key.public.x + "=").hex()


class Governor:
    """A member, or a candidate, with its keys."""

    def __init__(self, name: str, league: str = "") -> None:
        self.name = name
        self.key = self.first_key = SigningKey.generate("Ed25519")
        self.did = self.key.verifying_key().did_key()
        self.endpoint = f"https://{name}.example"
        self.validator, self.node = engine_key(f"validator {name}"), engine_key(f"node {name}")
        self.league = league
        self.seq = 0

    def member(self, power: int) -> Member:
        return Member(
            *(self.did, self.name, self.endpoint, (self.key.public,), power),
            validator_key=validator_hex(self.validator),
        )

    @property
    def address(self) -> str:
        """Of its validator."""
        return validator_address(validator_hex(self.validator))

    def signer(self, key: SigningKey | None = None) -> GovernanceSigner:
        return GovernanceSigner(key or self.key, self.did, self.league, CLOCK)

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def possession(self, key: SigningKey, use: str = "signing") -> str:
        return prove_possession(key, self.did, self.league, use, TIME_MS // 1000)  # type: ignore[arg-type]

    def candidacy(self, signer: SigningKey | None = None, **fields: Any) -> str:
        candidacy = Candidacy(
            did=self.did,
            endpoint=self.endpoint,
            keys=(self.possession(self.key),),
            league=self.league,
            name=self.name,
            nodes=(self.possession(self.node, "node"),),
            validator=self.possession(self.validator, "validator"),
        )
        changed = msgspec.structs.replace(candidacy, **fields)
        return CANDIDACY.sign(changed, signer or self.key, TIME_MS // 1000)

    def state(self, action: MemberAction, key: SigningKey | None = None) -> bytes:
        return encode_statement(self.signer(key).state(action, seq=self.next_seq()))

    def vote(self, proposal: str, choice: Choice = "yes") -> bytes:
        return encode_vote(self.signer().vote(proposal, choice, seq=self.next_seq()))


class GovernedLeague:
    """An application whose members are equal validators, and blocks for it."""

    def __init__(
        self,
        names: Sequence[str] = ("lubeck", "bergen", "riga", "bruges"),
        power: int = 10,
        params: LedgerParams = PARAMS,
        governors: Sequence[Governor] = (),
    ) -> None:
        self.governors = list(governors) or [Governor(name) for name in names]
        members = tuple(one.member(power) for one in self.governors)
        self.app_state = AppState(members, params)
        self.application = LedgerApplication(SqliteState(MEMORY))
        self.application.init_chain(msgspec.json.encode(self.app_state), TIME_MS)
        self.league = league_of(self.state)
        for one in self.governors:
            one.league = self.league
        self.time_ms = TIME_MS
        self._serial = 0

    def registered(self, governor: Governor) -> Member:
        """A member as the registry has it."""
        member = self.state.member(governor.did)
        assert member is not None
        return member

    @property
    def state(self) -> SqliteState:
        return self.application.state

    def candidate(self, name: str) -> Governor:
        return Governor(name, self.league)

    def commit(
        self, *transactions: bytes, seconds: float = 1, misbehavior: Sequence[Misbehavior] = ()
    ) -> BlockEffects:
        """Decide a block so many seconds after the last one."""
        self.time_ms += int(1000 * seconds)
        block = Block(self.state.head.height + 1, self.time_ms, transactions, tuple(misbehavior))
        effects = self.application.finalize_block(block)
        self.application.commit()
        return effects

    def numbers(self, *transactions: bytes, seconds: float = 1) -> list[int]:
        """The result codes of a block's transactions; 0 is success."""
        effects = self.commit(*transactions, seconds=seconds)
        assert all(one is None or isinstance(one, RuleBroken) for one in effects.refusals)
        return [one.rule.number if isinstance(one, RuleBroken) else 0 for one in effects.refusals]

    def proposal(
        self, proposer: Governor, *changes: LeagueChange, blocks: int = 1000, life_s: int = 86_400
    ) -> str:
        """A signed proposal against the present state."""
        self._serial += 1
        return proposer.signer().propose(
            changes,
            base_of(self.state, touched_elements(changes)),
            seq=proposer.next_seq(),
            expires_height=self.state.head.height + blocks,
            expires_time_ms=self.time_ms + 1000 * life_s,
            entropy=lambda size: hashlib.sha256(b"%d" % self._serial).digest()[:size],
        )

    def propose(
        self, proposer: Governor, *changes: LeagueChange, blocks: int = 1000, life_s: int = 86_400
    ) -> str:
        """Commit a proposal; its hash."""
        compact = self.proposal(proposer, *changes, blocks=blocks, life_s=life_s)
        effects = self.commit(encode_proposal(compact))
        assert effects.refusals == (None,), effects.refusals
        return proposal_hash(compact)

    def decide(self, *changes: LeagueChange, voters: Sequence[Governor] | None = None) -> str:
        """Propose and vote by all; the outcome."""
        name = self.propose(self.governors[0], *changes)
        for voter in voters or self.governors:
            if PROPOSALS.get(self.state, name) is not None:
                self.commit(voter.vote(name))
        return self.outcome(name)

    def outcome(self, name: str) -> str:
        decision = DECISIONS.get(self.state, name)
        return "open" if decision is None else decision.outcome
