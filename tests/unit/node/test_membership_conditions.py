from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from hansa.core.governance.changes import ParamSet
from hansa.node.health import OwnMembership
from hansa.node.health.membership import membership_conditions
from hansa.pubsub.ledger.commitments.governance import KEY_RECORD, SUSPENSION, KeyRecord, SuspensionRecord
from tests.unit.pubsub.test_league_reports import Scene

NOW_MS = 1_700_000_000_000
NEVER_MS = 4_000_000_000_000


def codes(scene: Scene, own: OwnMembership | None = None) -> list[str]:
    me = scene.members[1]
    own = own or OwnMembership(me.did, me.keys[0].kid, me.endpoint)
    return [str(one.code) for one in membership_conditions(own, scene.state)]


def test_a_member_in_good_standing_has_no_conditions() -> None:
    assert codes(Scene()) == []


def test_who_is_no_member_any_more_is_told_that_and_nothing_else() -> None:
    scene = Scene()
    assert codes(scene, OwnMembership("did:web:nobody.example", "kid", "https://x.example")) == ["no-member"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("removed", "the members have removed this marketplace from the league"),
        ("left", "this marketplace has left the league"),
    ],
)
def test_a_former_member_is_told_how_it_ceased_to_be_one(
    status: Literal["removed", "left"], message: str
) -> None:
    scene = Scene()
    me = msgspec.structs.replace(scene.members[1], status=status)
    scene.members = (scene.members[0], me, *scene.members[2:])
    (condition,) = membership_conditions(OwnMembership(me.did, me.keys[0].kid, me.endpoint), scene.state)
    assert (condition.code, condition.message) == ("no-member", message)


def test_a_suspension_is_told_with_its_end_when_it_has_one() -> None:
    scene = Scene()
    did, endpoint = scene.members[1].did, scene.members[1].endpoint
    own = OwnMembership(did, scene.members[1].keys[0].kid, endpoint)
    ended = SuspensionRecord(NEVER_MS, NOW_MS, ended=1)
    scene.sections["suspensions"] = {did: SUSPENSION.write(ended)}
    assert codes(scene) == []
    suspended = msgspec.structs.replace(scene.members[1], status="suspended")
    scene.members = (scene.members[0], suspended, *scene.members[2:])
    (by_vote,) = membership_conditions(own, scene.state)
    scene.sections["suspensions"] = {did: SUSPENSION.write(SuspensionRecord(NEVER_MS, NEVER_MS))}
    (emergency,) = membership_conditions(own, scene.state)
    assert {str(one.code) for one in (by_vote, emergency)} == {"member-suspended"}
    assert "until" not in by_vote.message
    assert "until 2096-10-02" in emergency.message


def test_a_key_that_nobody_knows_or_that_ends_is_told() -> None:
    scene = Scene()
    me = scene.members[1]
    assert codes(scene, OwnMembership(me.did, "another", me.endpoint)) == ["key-unregistered"]
    record = KEY_RECORD.write(KeyRecord(me.keys[0], 1, until_time_ms=NEVER_MS))
    scene.sections["history"] = {f"key/{me.did}/{me.keys[0].kid}": record}
    assert codes(scene) == ["key-expires"]


def test_an_endpoint_that_the_league_does_not_know_is_told() -> None:
    scene = Scene()
    me = scene.members[1]
    assert codes(scene, OwnMembership(me.did, me.keys[0].kid, "https://new.example")) == ["endpoint-differs"]


def test_a_proposal_waits_for_the_vote_of_who_has_not_voted_and_can() -> None:
    scene = Scene()
    name = scene.propose(ParamSet("issuer_events_per_s", 500))
    assert codes(scene) == ["vote-missing"]
    scene.vote(name, 1, "no")
    assert codes(scene) == []
    scene.sections["votes"].clear()
    scene.members = tuple(
        msgspec.structs.replace(one, power=0) if n == 1 else one for n, one in enumerate(scene.members)
    )
    assert codes(scene) == []
