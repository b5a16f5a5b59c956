"""A league with a member that lies, and what it sends."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hansa.core.canonical import hashlink
from hansa.core.errors import Code
from hansa.core.events import (
    EntityVersion,
    LifecycleEvent,
    Metadata,
    encode_event,
    event_time,
)
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.pubsub.ledger.rules.events import encode_events
from tests.league.harness import CLOCK, OFFERINGS, ROLES, League, RunningMember, wait_until
from tests.league.hostile_member import TYPE, HostileMember, evidence_of, offering

INDIVIDUALS = "/tmf-api/party/v4/individual"
SETTINGS = {
    "retrieval_timeout_s": 2.0,
    "retrieval_size_max_bytes": 4_194_304,
    "retrieval_backoff_max_s": 1.0,
}
PATIENCE_S = 30.0


class Scene:
    """Three honest members and one that lies."""

    def __init__(self, honest: League, hostile: HostileMember, registry: tuple[Member, ...]) -> None:
        self.honest = honest
        self.hostile = hostile
        self.registry = registry

    @property
    def lubeck(self) -> RunningMember:
        """An honest member that has something to lose."""
        return self.honest[0]

    def registered(self, member: RunningMember) -> Member:
        """A member as the ledger knows it."""
        return next(one for one in self.registry if one.endpoint == member.url)

    async def pids(self) -> dict[str, list[int]]:
        """Numbers of all processes of the honest members."""
        return {member.name: [await member.pid(role) for role in ROLES] for member in self.honest.members}

    async def position(self) -> int:
        """Newest event on the ledger."""
        return (await self.hostile.bus.ledger()).position

    async def all_hold(self, what: str, check: Callable[[RunningMember], Any]) -> None:
        """Wait until a check holds at every honest member."""

        async def hold() -> bool:
            return all([await check(member) for member in self.honest.members])

        await wait_until(hold, what, PATIENCE_S, self.honest.members)

    async def all_accuse(self, key: str, code: Code) -> None:
        """Wait until all honest members have this evidence."""

        async def accuses(member: RunningMember) -> bool:
            return (key, str(code)) in evidence_of(await member.status(), self.hostile.did)

        await self.all_hold(f"there is evidence of {code}", accuses)

    async def all_name_the_problem(self, code: Code) -> None:
        """Wait until all honest members say that this is why they get nothing from the one that lies."""

        async def says_so(member: RunningMember) -> bool:
            origins = (await member.status())["origins"]
            return any(one["did"] == self.hostile.did and one["problem"] == str(code) for one in origins)

        await self.all_hold(f"the problem is {code}", says_so)

    async def nobody_has(self, entity_id: str) -> None:
        """Check that an offering is nowhere."""
        for member in self.honest.members:
            assert (await member.get(f"{OFFERINGS}/{entity_id}")).status == 404
            assert (await member.get(f"/league/v1/entities/{entity_id}")).status == 404

    async def names(self, entity_id: str) -> list[str]:
        """The name of an offering at each honest member."""
        return [
            (await member.get(f"{OFFERINGS}/{entity_id}")).json()["name"] for member in self.honest.members
        ]


def own(scene: Scene, **overrides: Any) -> LifecycleEvent:
    """A good event of its own, but for some fields."""
    return scene.hostile.describe("urn:x:1", offering("urn:x:1"), **overrides)


def in_the_name_of(scene: Scene, member: RunningMember) -> LifecycleEvent:
    """An event that would be good if that member signed it."""
    key = entity_key(scene.registered(member).did, "urn:x:forged")
    return own(scene, entity=EntityVersion(key, TYPE, 1), hashlink=hashlink(offering("urn:x:forged")))


def forged(scene: Scene) -> bytes:
    """Names the victim's key, and is not signed with it."""
    victim = scene.registered(scene.lubeck)
    forger = scene.hostile.signing_as(victim.keys[0].kid)
    return scene.hostile.transaction(in_the_name_of(scene, scene.lubeck), issuer=victim.did, key=forger)


def impersonating(scene: Scene) -> bytes:
    """Signed well, by somebody else."""
    victim = scene.registered(scene.lubeck)
    return scene.hostile.transaction(in_the_name_of(scene, scene.lubeck), issuer=victim.did)


def exchanged(scene: Scene) -> bytes:
    """Holds another event than the one that was signed."""
    jws = scene.hostile.sign([encode_event(own(scene, metadata=Metadata(lifecycleStatus="Retired")))])
    return encode_events(jws, [encode_event(own(scene))])


def shortened(scene: Scene) -> bytes:
    """Leaves one of the events out that were signed."""
    contents = [encode_event(own(scene)), encode_event(own(scene))]
    return encode_events(scene.hostile.sign(contents), contents[:1])


def by_a_stranger(scene: Scene) -> bytes:
    """Of somebody who is no member."""
    stranger = SigningKey.generate()
    did = stranger.verifying_key().did_key()
    event = own(scene, entity=EntityVersion(entity_key(did, "urn:x:1"), TYPE, 1))
    return scene.hostile.transaction(event, issuer=did, key=stranger)


def out_of_order(scene: Scene) -> bytes:
    """A third version without a first."""
    entity = EntityVersion(entity_key(scene.hostile.did, "urn:x:1"), TYPE, 3)
    return scene.hostile.transaction(own(scene, entity=entity, previous=hashlink(b"nothing")))


def ahead(scene: Scene) -> bytes:
    """A second version without a first: nothing that could be its predecessor waits."""
    entity = EntityVersion(entity_key(scene.hostile.did, "urn:x:1"), TYPE, 2)
    return scene.hostile.transaction(own(scene, entity=entity, previous=hashlink(b"nothing")))


def at_another_time(scene: Scene, days: float) -> bytes:
    """An event whose time is far from the block's."""
    return scene.hostile.transaction(own(scene, time=event_time(CLOCK.now() + timedelta(days=days))))


def twice_in_one(scene: Scene) -> bytes:
    """A batch with one event twice."""
    event = own(scene)
    return scene.hostile.transaction(event, event)


def too_large(scene: Scene) -> bytes:
    """More metadata than any event may have."""
    return scene.hostile.transaction(own(scene, metadata=Metadata(categories=("x" * 128,) * 32)))


def deep(depth: int) -> Callable[[Scene], bytes]:
    """A header that exhausts the stack of a recursive parser."""

    def build(scene: Scene) -> bytes:
        batch = f"{deep_header(depth)}.e30.{'A' * 86}".encode()
        return b'{"kind":"events","batch":"%b","events":[%b]}' % (batch, encode_event(own(scene)))

    return build


def deep_header(depth: int) -> str:
    """The header of a JWS, nested that deep; base64url."""
    raw = b'{"alg":"ES256","kid":"k","typ":"jose","x":' + b"[" * depth + b"]" * depth + b"}"
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
