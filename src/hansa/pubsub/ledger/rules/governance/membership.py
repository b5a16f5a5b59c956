"""A member's status, keys, engines and addresses: how they change, and how it stops being a member.

Whoever leaves gives up its power first, so that the engine stops counting on it, and its membership
`LEAVING_BLOCKS` blocks later: until then its engine still gets the blocks that say so. The registry
retains former members, so what they published stays provable; their keys sign nothing any more, and their
engines are nobody's peers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.governance.possession import Possession
from hansa.core.keys import PublicJwk
from hansa.core.members import KEYS_MAX, Member, MemberStatus, is_endpoint
from hansa.pubsub.ledger.commitments.governance import SuspensionRecord
from hansa.pubsub.ledger.rules.certificates import forget_key, register_key
from hansa.pubsub.ledger.rules.governance.agenda import AT_HEIGHT, AT_TIME, schedule
from hansa.pubsub.ledger.rules.governance.history import (
    begin_key,
    begin_location,
    claim_name,
    end_key,
    key_material,
    overlap_key,
)
from hansa.pubsub.ledger.rules.governance.powers import check_powers, power_of, set_power
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.rules.governance.tables import KEYS, SUSPENSIONS
from hansa.pubsub.ledger.state import Overlay, StateView

LEAVING_BLOCKS: Final = 3
"""The engine acts on a change of power two heights later."""


def current_member(state: StateView, did: str) -> Member:
    """A member of the league.

    Raises:
        RuleBroken: `CHANGE`, when nobody is, or not any more.
    """
    member = state.member(did)
    if member is None or not member.is_current:
        raise CHANGE.broken(f"{did} is not a member of this league.")
    return member


# -- keys and addresses --------------------------------------------------------------------------------------


def put_key(state: Overlay, member: Member, proof: Possession) -> Member:
    """Register a signing key, or its new certificate.

    Raises:
        RuleBroken: `TAKEN`, or a rule of certificates.
    """
    jwk = proof.key
    registered = member.key(jwk.kid)
    register_key(state, member.did, proof)
    if registered is not None and key_material(registered) == key_material(jwk):
        return member
    begin_key(state, member.did, jwk)
    if len(member.keys) >= KEYS_MAX:
        raise CHANGE.broken(f"{member.did} has {KEYS_MAX} keys; it has to retire one first.")
    changed = msgspec.structs.replace(member, keys=(*member.keys, jwk))
    state.put_member(changed)
    return changed


def retire_key(state: Overlay, member: Member, kid: str) -> Member:
    """Retire a signing key at once; another one stays.

    Raises:
        RuleBroken: `CHANGE`.
    """
    if member.key(kid) is None:
        raise CHANGE.broken(f"{member.did} has no key {kid}.")
    keys = tuple(key for key in member.keys if key.kid != kid)
    if not keys:
        raise CHANGE.broken(f"{kid} is the only key of {member.did}; it needs another one first.")
    end_key(state, member.did, kid)
    forget_key(state, member.did, kid)
    changed = msgspec.structs.replace(member, keys=keys)
    state.put_member(changed)
    return changed


def rotate_key(state: Overlay, member: Member, proof: Possession, replaces: str, overlap_s: int) -> None:
    """Register a key, and retire the one that it replaces now or after a time.

    Raises:
        RuleBroken: `CHANGE`, `TAKEN`, or a rule of certificates.
    """
    if replaces and (member.key(replaces) is None or replaces == proof.key.kid):
        raise CHANGE.broken(f"{member.did} has no key {replaces} that could be replaced.")
    changed = put_key(state, member, proof)
    if replaces and not overlap_s:
        retire_key(state, changed, replaces)
    elif replaces:
        until_ms = state.time_ms + 1000 * overlap_s
        overlap_key(state, member.did, replaces, until_ms)
        schedule(state, AT_TIME, until_ms, "key", f"{member.did}/{replaces}")


def end_overlap(state: Overlay, subject: str) -> None:
    """Retire a key whose overlap with its successor is over, unless it was retired before."""
    did, _, kid = subject.partition("/")
    record, member = KEYS.get(state, subject), state.member(did)
    is_due = record is not None and record.until_time_ms and record.until_time_ms <= state.time_ms
    if is_due and member is not None and member.is_current and len(member.keys) > 1:
        retire_key(state, member, kid)


def put_endpoint(state: Overlay, member: Member, endpoint: str) -> Member:
    """Register another endpoint.

    Raises:
        RuleBroken: `CHANGE` or `TAKEN`.
    """
    if not is_endpoint(endpoint):
        raise CHANGE.broken(f"{endpoint!r} is no endpoint in its one form, as https://market.example:8443.")
    if endpoint == member.endpoint:
        return member
    begin_location(state, member.did, endpoint)
    changed = msgspec.structs.replace(member, endpoint=endpoint)
    state.put_member(changed)
    return changed


def put_nodes(state: Overlay, member: Member, node_ids: dict[str, PublicJwk]) -> Member:
    """Register a member's engines in place of those that it had.

    Args:
        state: Gets them.
        member: Runs them.
        node_ids: With their keys.

    Raises:
        RuleBroken: `TAKEN`.
    """
    for node_id, jwk in node_ids.items():
        claim_name(state, "node", node_id, member.did)
        claim_name(state, "material", key_material(jwk), member.did)
    changed = msgspec.structs.replace(member, node_ids=tuple(node_ids))
    state.put_member(changed)
    return changed


# -- status --------------------------------------------------------------------------------------------------


def set_status(state: Overlay, member: Member, status: MemberStatus) -> None:
    """Change by vote whether a member may publish; it ends an emergency suspension."""
    _end_suspension_record(state, member.did)
    state.put_member(msgspec.structs.replace(member, status=status))


def suspend_for(state: Overlay, member: Member, duration_s: int) -> None:
    """Suspend a member from publishing for a time.

    Raises:
        RuleBroken: `CHANGE`.
    """
    if duration_s > state.params.suspension_max_s:
        raise CHANGE.broken(f"An emergency suspension lasts {state.params.suspension_max_s} s at most.")
    before = SUSPENSIONS.get(state, member.did)
    if member.status != "active" or (before is not None and state.time_ms < before.again_time_ms):
        raise CHANGE.broken(f"{member.did} is suspended, or was not long ago; a vote on its status decides.")
    until_ms = state.time_ms + 1000 * duration_s
    again_ms = until_ms + 1000 * state.params.suspension_max_s
    SUSPENSIONS.put(state, member.did, SuspensionRecord(again_ms, until_ms))
    schedule(state, AT_TIME, until_ms, "suspension", member.did)
    state.put_member(msgspec.structs.replace(member, status="suspended"))


def is_emergency(state: StateView, did: str) -> bool:
    """Whether a member is suspended by an emergency suspension alone."""
    record = SUSPENSIONS.get(state, did)
    return record is not None and not record.ended


def end_suspension(state: Overlay, did: str) -> None:
    """End an emergency suspension whose time is over; in the end, forget it."""
    record, member = SUSPENSIONS.get(state, did), state.member(did)
    if record is None:
        return
    if not record.ended and record.until_time_ms <= state.time_ms:
        if member is not None and member.status == "suspended":
            state.put_member(msgspec.structs.replace(member, status="active"))
        _end_suspension_record(state, did)
    elif record.ended and record.again_time_ms <= state.time_ms:
        SUSPENSIONS.remove(state, did)


def _end_suspension_record(state: Overlay, did: str) -> None:
    record = SUSPENSIONS.get(state, did)
    if record is not None and not record.ended:
        SUSPENSIONS.put(state, did, msgspec.structs.replace(record, ended=1))
        schedule(state, AT_TIME, record.again_time_ms, "suspension", did)


# -- the end -------------------------------------------------------------------------------------------------


def begin_leaving(state: Overlay, member: Member, status: MemberStatus) -> None:
    """Take a member's power, and then its membership.

    Args:
        state: Changes.
        member: Leaves, or is removed: then it publishes nothing from now on.
        status: `left` or `removed`.

    Raises:
        RuleBroken: a rule of voting power.
    """
    if status == "removed":
        set_status(state, member, "suspended")
        member = current_member(state, member.did)
    if not power_of(state, member):
        end_membership(state, member.did, status)
        return
    set_power(state, member, 0, member.validator_key)
    check_powers(state)
    task = AT_HEIGHT, state.height + LEAVING_BLOCKS
    schedule(state, *task, "leave" if status == "left" else "removal", member.did)


def end_membership(state: Overlay, did: str, status: MemberStatus) -> None:
    """End a membership, unless the member is gone already, or was given power again meanwhile."""
    member = state.member(did)
    if member is None or not member.is_current or power_of(state, member):
        return
    _end_suspension_record(state, did)
    for key in member.keys:
        end_key(state, did, key.kid)
        forget_key(state, did, key.kid)
    state.put_member(msgspec.structs.replace(member, status=status, node_ids=()))
