"""What evidence does to a validator: it loses its voting power, once.

The engine verifies evidence (two votes of one validator at one height, or a forged header for light clients),
puts it into a block, and reports it with the block when that is executed. It reports the same evidence once,
as far as its own memory goes; here it is recorded, so that repeated evidence has no effect.

The last validator keeps its power: without any, there would be no further block, and nobody to admit another.
The engine fails when it has to remove a validator that it does not have, so a power of zero is not changed.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hansa.pubsub.bus import Misbehavior
from hansa.pubsub.ledger.state import Overlay


def punish(state: Overlay, evidence: Iterable[Misbehavior]) -> None:
    """Record evidence, and take the power of those against whom it is.

    It takes effect in the order of addresses and heights, whatever order it is listed in.
    """
    for misbehavior in sorted(evidence, key=lambda one: one.evidence_id):
        if state.has_misbehavior(misbehavior.evidence_id):
            continue
        state.record_misbehavior(misbehavior)
        _remove_power(state, misbehavior.address)


def _remove_power(state: Overlay, address: str) -> None:
    validators = state.validators
    offender = validators.get(address)
    if offender is None or offender.power == 0:
        return
    if not any(one.power > 0 for one in validators.values() if one.address != address):
        return
    state.put_validator(msgspec.structs.replace(offender, power=0))
    for member in state.members:
        if member.validator_key == offender.public_key:
            state.put_member(msgspec.structs.replace(member, power=0))
