"""Voting power: how it changes, and what must hold whenever it does.

    never no validator
    with four validators or more, none has more than a third of the power
    no two validator sets within `trust_period_s` differ by more than a third of the power of the earlier one:
    neither did more of it go to others, nor more come from others. A light client that trusts a set can
    follow the later ones for so long

The sets that were in force within the period are records (section `powers`), so that the rule is one of
the state. Evidence takes power without asking these rules; the sets before it are recorded all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.core.members import Member
from hansa.pubsub.ledger.commitments.governance import PowerOf, PowersRecord
from hansa.pubsub.ledger.commitments.stored import ValidatorRecord, validator_address
from hansa.pubsub.ledger.rules.governance.history import (
    claim_name,
    retire_validator_key,
    validator_material,
)
from hansa.pubsub.ledger.rules.governance.refusals import (
    CHANGE,
    POWER_CHANGED,
    POWER_NONE,
    POWER_THIRD,
)
from hansa.pubsub.ledger.rules.governance.tables import POWERS_BEFORE
from hansa.pubsub.ledger.state import Overlay, StateView

_THIRD: Final = 3
_VALIDATORS_MIN: Final = 4
"""From so many on none may have more than a third."""
_HEIGHT_DIGITS: Final = 16


def powers(state: StateView) -> dict[str, int]:
    """The power of every validator that votes, by address."""
    return {address: one.power for address, one in state.validators.items() if one.power}


def power_of(state: StateView, member: Member | None) -> int:
    """The voting power of a member; 0 for nobody."""
    if member is None or not member.validator_key:
        return 0
    validator = state.validators.get(validator_address(member.validator_key))
    return 0 if validator is None else validator.power


def note_powers(state: Overlay) -> None:
    """Record the voting powers before a block that changes them, and forget those before the trust period."""
    key = f"{state.height:0{_HEIGHT_DIGITS}}"
    if POWERS_BEFORE.get(state, key) is not None:
        return
    oldest_ms = state.time_ms - 1000 * state.params.trust_period_s
    for old, record in tuple(POWERS_BEFORE.items(state)):
        if record.until_time_ms >= oldest_ms:
            break
        POWERS_BEFORE.remove(state, old)
    before = tuple(PowerOf(address, power) for address, power in sorted(powers(state).items()))
    if before:
        POWERS_BEFORE.put(state, key, PowersRecord(before, state.time_ms))


def have_changed(state: Overlay) -> bool:
    """Whether voting powers have changed in this block."""
    return POWERS_BEFORE.get(state, f"{state.height:0{_HEIGHT_DIGITS}}") is not None


def set_power(state: Overlay, member: Member, power: int, validator_key: str) -> None:
    """Give a member a voting power, with its validator or another one; `check_powers` comes afterwards.

    Raises:
        RuleBroken: `CHANGE`, when it would vote without a validator; `TAKEN`, when the validator's key cannot
            be its.
    """
    if power and not validator_key:
        raise CHANGE.broken(f"{member.did} has no validator that could vote.")
    note_powers(state)
    if validator_key and (power or validator_key != member.validator_key):
        claim_name(state, "validator", validator_key, member.did)
        claim_name(state, "material", validator_material(validator_key), member.did)
    if member.validator_key and member.validator_key != validator_key:
        _put_validator(state, member.validator_key, 0)
        retire_validator_key(state, member.validator_key, member.did)
    if validator_key:
        _put_validator(state, validator_key, power)
    state.put_member(msgspec.structs.replace(member, power=power, validator_key=validator_key))


def _put_validator(state: Overlay, public_key: str, power: int) -> None:
    address = validator_address(public_key)
    if power or address in state.validators:
        state.put_validator(ValidatorRecord(address, public_key, power))


def check_powers(state: Overlay) -> None:
    """Check that the voting powers may be what they are after a change.

    Raises:
        RuleBroken: `POWER_NONE`, `POWER_THIRD` or `POWER_CHANGED`.
    """
    after = powers(state)
    total = sum(after.values())
    if not total:
        raise POWER_NONE.broken("The league would have no validator.")
    if len(after) >= _VALIDATORS_MIN and _THIRD * max(after.values()) > total:
        raise POWER_THIRD.broken("A validator would have more than a third of the power.")
    oldest_ms = state.time_ms - 1000 * state.params.trust_period_s
    for _, record in POWERS_BEFORE.items(state):
        before = {one.address: one.power for one in record.powers}
        if record.until_time_ms >= oldest_ms and _differ_too_much(before, after):
            wait_ms = record.until_time_ms - oldest_ms + 1
            raise POWER_CHANGED.broken(
                "More than a third of the voting power would change within the league's trust period.",
                wait_ms,
            )


def _differ_too_much(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    addresses = before.keys() | after.keys()
    changes = [after.get(address, 0) - before.get(address, 0) for address in addresses]
    added, removed = sum(max(0, one) for one in changes), sum(max(0, -one) for one in changes)
    return _THIRD * max(added, removed) > sum(before.values())
