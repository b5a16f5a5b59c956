"""What evidence does to a validator: it loses its voting power, once.

The engine verifies evidence (two votes of one validator at one height, or a forged header for light
clients), puts it into a block, and reports it with the block when that is executed. It reports the same
evidence once, as far as its own memory goes; here it is recorded, so that repeated evidence has no
effect.

The last validator keeps its power: without any, there would be no further block, and nobody to admit
another. Under rules with governance, the key against which there is evidence is retired for ever, and it
is the present validator of its owner that loses its power, whichever key it has. Power comes back by vote
alone, with another key.

The engine fails when it has to remove a validator that it does not have, so a power of zero is not
changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hansa.pubsub.ledger.commitments.app_hash import record_sections
from hansa.pubsub.ledger.commitments.stored import ValidatorRecord, validator_address
from hansa.pubsub.ledger.rules.governance.history import retire_validator_key, validator_key_owner
from hansa.pubsub.ledger.rules.governance.powers import note_powers
from hansa.pubsub.ledger.state import Overlay
from hansa.pubsub.ledger_records import Misbehavior

HISTORY: Final = "history"
"""Rule sets with this section know whose a validator was before."""


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
    if offender is not None and HISTORY in record_sections(state.ruleset):
        offender = _present_validator(state, offender)
    if offender is None or offender.power == 0:
        return
    if not any(one.power > 0 for one in validators.values() if one.address != offender.address):
        return
    if HISTORY in record_sections(state.ruleset):
        note_powers(state)
    state.put_validator(msgspec.structs.replace(offender, power=0))
    for member in state.members:
        if member.validator_key == offender.public_key:
            state.put_member(msgspec.structs.replace(member, power=0))


def _present_validator(state: Overlay, offender: ValidatorRecord) -> ValidatorRecord | None:
    """The validator that its owner runs now: another key does not save who misbehaved with an earlier one.

    The key against which there is evidence is retired: nobody gets power with it again.
    """
    owner = validator_key_owner(state, offender.public_key)
    member = None if owner is None else state.member(owner.owner)
    if owner is None or member is None:
        return offender
    retire_validator_key(state, offender.public_key, owner.owner)
    return state.validators.get(validator_address(member.validator_key)) if member.validator_key else None
