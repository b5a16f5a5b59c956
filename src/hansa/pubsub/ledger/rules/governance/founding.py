"""The begin of governance: at the genesis of a league, or in the first block under rules that have it.

What the members of the genesis have is theirs for ever, as what is registered later. The identifier of
the league follows from the state before that block, so nothing that was signed for one league is valid in
another, even if the same members founded both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from hansa.core.members import Member
from hansa.pubsub.ledger.commitments.governance import KeyRecord, LeagueRecord, LocationRecord, Owner
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.rules.governance.agenda import run_due
from hansa.pubsub.ledger.rules.governance.history import key_material, validator_material
from hansa.pubsub.ledger.rules.governance.membership import end_membership, end_overlap, end_suspension
from hansa.pubsub.ledger.rules.governance.powers import have_changed
from hansa.pubsub.ledger.rules.governance.tables import KEYS, LEAGUE_KEY, LEAGUES, LOCATIONS, OWNERS
from hansa.pubsub.ledger.rules.governance.tally import expire, forget_decision, tally_all
from hansa.pubsub.ledger.state import Overlay, genesis_effects


def league_id(time_ms: int, app_hash: bytes) -> str:
    """The identifier of a league.

    Args:
        time_ms: Of the genesis; of a league that was founded without governance, of the last block before it.
        app_hash: Of members and limits alone (`genesis_effects`), or after that block.
    """
    return hashlib.sha256(b"hansa-league\x00%d\x00%b" % (time_ms, app_hash)).hexdigest()


def begin_governance(state: Overlay) -> None:
    """Begin governance if the state has none; carry out what is due; decide what evidence has decided."""
    if LEAGUES.get(state, LEAGUE_KEY) is None:
        _begin_governance(state, league_id(state.head.time_ms, state.head.app_hash))
    run_due(
        state,
        {
            "decision": forget_decision,
            "key": end_overlap,
            "leave": lambda overlay, did: end_membership(overlay, did, "left"),
            "proposal": expire,
            "removal": lambda overlay, did: end_membership(overlay, did, "removed"),
            "suspension": end_suspension,
            "tally": tally_all,
        },
    )
    if have_changed(state):
        tally_all(state)


def govern_from_genesis(state: Overlay) -> None:
    """Begin governance at the genesis, when members and validators are there."""
    bare = state.effects(refusals=()).head
    _begin_governance(state, league_id(bare.time_ms, bare.app_hash))


def league_of_genesis(app_state: AppState, time_ms: int, validators: Mapping[str, int]) -> str:
    """The identifier of the league of a genesis document; see `genesis_effects` for the arguments."""
    bare = genesis_effects(app_state, time_ms, validators).head
    return league_id(bare.time_ms, bare.app_hash)


def _begin_governance(state: Overlay, identifier: str) -> None:
    LEAGUES.put(state, LEAGUE_KEY, LeagueRecord(identifier))
    for member in state.members:
        _register(state, member)


def _register(state: Overlay, member: Member) -> None:
    """Everything that a member of the genesis has, from the first event on."""
    owner = Owner(member.did, 1)
    names = [
        f"did/{member.did}",
        f"endpoint/{member.endpoint}",
        *(f"node/{node_id}" for node_id in member.node_ids),
        *(f"prefix/{prefix}" for prefix in member.prefixes),
        *(f"material/{key_material(key)}" for key in member.keys),
    ]
    if member.validator_key:
        names += [
            f"validator/{member.validator_key}",
            f"material/{validator_material(member.validator_key)}",
        ]
    for name in names:
        OWNERS.put(state, name, owner)
    for key in member.keys:
        KEYS.put(state, f"{member.did}/{key.kid}", KeyRecord(key, 1))
    LOCATIONS.put(state, f"{member.did}/{1:016}", LocationRecord(member.endpoint))
