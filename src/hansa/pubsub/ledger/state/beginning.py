"""The state before the first block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hansa.core.members import Member
from hansa.core.merkle import Frontier
from hansa.pubsub.ledger.commitments.state_trees import (
    StateTrees,
)
from hansa.pubsub.ledger.commitments.stored import (
    IssuerState,
    ValidatorRecord,
    validator_address,
)
from hansa.pubsub.ledger.genesis import PARAMETERS, AppState, LedgerParams
from hansa.pubsub.ledger.state.overlay import Overlay
from hansa.pubsub.ledger.state.view import BlockEffects, Head
from hansa.pubsub.ledger_records import Claim


class EmptyState:
    """The state before the genesis: no members, no events."""

    def __init__(self, params: LedgerParams, time_ms: int, ruleset: str) -> None:
        self.trees = StateTrees.empty(ruleset, PARAMETERS.write(params))
        self.ruleset = ruleset
        self.head = Head(0, time_ms, Frontier(), self.trees.sections.app_hash)
        self.position = self.head.position
        self.members: tuple[Member, ...] = ()
        self.validators: Mapping[str, ValidatorRecord] = {}
        self.params = params
        self.time_ms = time_ms

    def member(self, did: str) -> Member | None:
        """Nobody."""
        del did
        return None

    def record(self, section: str, key: str) -> bytes | None:
        """None."""
        del section, key
        return None

    def records(self, section: str) -> Mapping[str, bytes]:
        """None."""
        del section
        return {}

    def has_misbehavior(self, evidence_id: str) -> bool:
        """False."""
        del evidence_id
        return False

    def issuer(self, did: str) -> IssuerState:
        """Nothing."""
        return IssuerState(did)

    def has_event(self, issuer: str, event_id: str) -> bool:
        """False."""
        del issuer, event_id
        return False

    def claim(self, issuer: str, key: str) -> Claim | None:
        """None."""
        del issuer, key
        return None

    def claims(self, issuer: str, keys: Sequence[str]) -> Mapping[str, Claim]:
        """None."""
        del issuer, keys
        return {}


def genesis_effects(
    app_state: AppState,
    time_ms: int,
    validators: Mapping[str, int],
    steps: Sequence[Callable[[Overlay], None]] = (),
) -> BlockEffects:
    """The state before the first block, as changes of nothing.

    Args:
        app_state: The members, and the limits.
        time_ms: Of the genesis, milliseconds since 1970.
        validators: Voting power of the engine's validators, by public key in hex.
        steps: What the rule set does at the genesis.
    """
    state = Overlay(EmptyState(app_state.params, time_ms, app_state.ruleset), 0, time_ms)
    for member in app_state.members:
        state.put_member(member)
    for public_key, power in validators.items():
        state.put_validator(ValidatorRecord(validator_address(public_key), public_key, power))
    for step in steps:
        step(state)
    return state.effects(refusals=())
