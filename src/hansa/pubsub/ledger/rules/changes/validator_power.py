"""`validator.power`: another voting power, with the validator that is registered or another one.

Who lost its power by evidence gets power again only with another validator's key: the one against which
there is evidence was retired.
"""

from __future__ import annotations

from typing import Final

from hansa.core.errors import Refused
from hansa.core.governance.changes import ValidatorPower
from hansa.core.governance.possession import Possession, read_possession, validator_key_of
from hansa.core.jws import CompactJws
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.membership import current_member
from hansa.pubsub.ledger.rules.governance.powers import set_power
from hansa.pubsub.ledger.rules.governance.refusals import POSSESSION
from hansa.pubsub.ledger.rules.governance.senders import league_of
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.state import Overlay, StateView


def _proof(state: StateView, change: ValidatorPower) -> tuple[Possession, CompactJws]:
    try:
        return read_possession(change.validator, change.did, league_of(state), "validator")
    except Refused as error:
        raise POSSESSION.broken(error.message) from error


def _check(state: StateView, change: ValidatorPower, context: CheckContext) -> None:
    if not change.validator:
        return
    proof, parts = _proof(state, change)
    try:
        context.signatures.verify(change.validator, parts, proof.key)
    except Refused as error:
        raise POSSESSION.broken(error.message) from error


def _apply(state: Overlay, change: ValidatorPower) -> None:
    member = current_member(state, change.did)
    validator_key = member.validator_key
    if change.validator:
        validator_key = validator_key_of(_proof(state, change)[0].key)
    set_power(state, member, change.power, validator_key)


def _describe(view: ElementsView, change: ValidatorPower) -> str:
    member = view.member(change.did)
    name, before = (change.did, 0) if member is None else (f"{member.name} ({change.did})", member.power)
    key = ", with another validator's key" if change.validator else ""
    return f"The voting power of {name} changes from {before} to {change.power}{key}."


VALIDATOR_POWER: Final = ChangeKind(
    "validator.power",
    "threshold_power_sixtieths",
    lambda change: (f"power/{change.did}",),
    _apply,
    _describe,
    _check,
)
