"""Claims on identifiers: to which member an identifier belongs.

| identifier | belongs to |
|---|---|
| of the bound form | the member to which the nonce of its events binds it; nothing is looked up |
| with a registered prefix | the member that has registered it |
| any other | the member whose first event with its key has the smallest position on the ledger |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hansa.core.identifiers import entity_key, is_bound_form
from hansa.core.members import Member, prefix_owner
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger_records import EventFilter

RACE_MAX_S: Final = 5.0
"""A claim that is committed so much later than another member's was not made in ignorance of it: every member
looks for earlier claims before it submits one of its own."""

FirstClaims = dict[str, int]
"""By DID of the member, the position of its first event under an identifier."""


def needs_look_up(entity_id: str, members: Iterable[Member]) -> bool:
    """Whether the ledger alone says to whom an identifier belongs."""
    return not is_bound_form(entity_id) and prefix_owner(members, entity_id) is None


async def first_claims(
    bus: Bus, members: Sequence[Member], entity_ids: Iterable[str]
) -> dict[str, FirstClaims]:
    """The first claims of all members on some identifiers; one look-up for all of them.

    Raises:
        Unavailable: The bus does not answer.
    """
    claimants = {entity_key(one.did, each): (each, one.did) for each in entity_ids for one in members}
    claims: dict[str, FirstClaims] = {each: {} for each, _ in claimants.values()}
    for claim in await bus.claims(tuple(claimants)) if claimants else ():
        entity_id, did = claimants[claim.key]
        if claim.issuer == did:
            claims[entity_id][did] = claim.first_position
    return claims


async def nonce_on_ledger(bus: Bus, did: str, entity_id: str) -> bytes | None:
    """The nonce that a member's events carry for one of its identifiers; None when it published none.

    Raises:
        Unavailable: The bus does not answer.
    """
    mine = EventFilter(issuers=(did,), keys=(entity_key(did, entity_id),))
    nonces = [one.event.nonce for one in (await bus.search(0, mine, limit=1)).events]
    return bytes.fromhex(nonces[0]) if nonces and nonces[0] is not None else None


def earlier_claim(claims: FirstClaims, did: str, own_position: int | None) -> tuple[str, int] | None:
    """The member with the earliest claim before that of `did`, and its position; None when there is none.

    Args:
        claims: On one identifier.
        did: The member that is not looked for.
        own_position: Of its own claim; None while it has made none.
    """
    others = [(position, other) for other, position in claims.items() if other != did]
    if not others:
        return None
    position, other = min(others)
    return (other, position) if own_position is None or position < own_position else None
