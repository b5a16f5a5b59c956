"""What has to hold when nothing is broken any more, and everything that was begun has ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hansa.core.canonical import hashlink
from hansa.core.identifiers import entity_key, is_bound_form
from hansa.replication.status import ReplicationView
from hansa.sim.checking.watching import Watch
from hansa.sim.league import SimulatedLeague
from hansa.sim.members.member import SimulatedMember
from hansa.sim.oracle import Known, blocked, expected_replicas, is_published
from hansa.sim.violation import require
from hansa.sim.workload import WriteState
from hansa.store.tables import evidence, facts, heads, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR

Rows = list[Any]


async def is_quiet(league: SimulatedLeague) -> str | None:
    """What still goes on; None: nothing."""
    if league.is_busy:
        return "clients wait for answers"
    if not league.ledger.is_idle:
        return "the ledger has transactions that wait"
    position = league.ledger.main.application.state.head.position
    honest = {one.did for number, one in enumerate(league.members) if number not in league.restored}
    # What a member has lost with its store, the others wait for until somebody has it.
    for member in league.members:
        assert member.process is not None, "all run"
        store, policy = member.process.store, member.process.replication.policy
        view = ReplicationView(store, league.clock, member.process.limits)
        if count := await view.unpublished():
            return f"{member.name} has {count} changes to publish"
        if (followed := await view.followed_to()) < position:
            return f"{member.name} has followed to {followed} of {position}"
        for origin in await origins.origins(store):
            if origin.did in honest and (origin.pending or origin.deferred):
                return f"{member.name} has {origin.pending} of {origin.did} to retrieve ({origin.problem})"
        if await facts.value(store, "publication_rule") != policy.publish_rule:
            return f"{member.name} walks over what it has published"
        if (await facts.value(store, "consume_rule") or "") != policy.consume_rule:
            return f"{member.name} walks over what it has taken in"
    return None


class Checks:
    """Compares everything with everything.

    Args:
        league: Which; all its members run.
        watch: Has read the ledger to its end.
    """

    def __init__(self, league: SimulatedLeague, watch: Watch) -> None:
        self._league = league
        self._watch = watch

    async def check(self) -> None:
        """Check all there is.

        Raises:
            ViolationError: Something does not hold.
        """
        league = self._league
        require(len(league.ledger.hashes()) == 1, "members have different states of the ledger")
        known = [await self._known_at(member) for member in league.members]
        await self._check_writes()
        published: list[Known] = []
        waiting: set[str] = set()
        for number, of_origin in enumerate(known):
            publish = league.publish[number]
            own = {one.id: one for one in of_origin}
            published += [one for one in of_origin if is_published(one, publish)]
            waiting |= {one.id for one in of_origin if blocked(one, own, publish)}
        for number, member in enumerate(league.members):
            expected = expected_replicas(published, member.did, league.consume[number])
            await self._check_replicas(number, member, expected, waiting, known)
            await self._check_heads(member)
            await self._check_cursors(member)
            await self._check_announced(member)
            await self._check_accusations(member)

    # -- what the origins have -----------------------------------------------------------------------------

    async def _known_at(self, member: SimulatedMember) -> list[Known]:
        """The own entities of a member."""
        assert member.process is not None, "all run"
        rows = await member.process.store.sql.fetch("SELECT id, type, body FROM entity WHERE origin IS NULL")
        return [
            Known(id, type_name, member.did, msgspec.json.decode(body), body, self._owns(member.did, id))
            for id, type_name, body in rows
        ]

    def _owns(self, did: str, entity_id: str) -> bool:
        """Whether an identifier is a member's, by the order of the ledger."""
        if is_bound_form(entity_id):
            return True
        first = self._watch.announced.first
        claims = [
            (first[place], place[0])
            for place in ((one.did, entity_key(one.did, entity_id)) for one in self._league.identities)
            if place in first
        ]
        return not claims or min(claims)[1] == did

    async def _check_writes(self) -> None:
        """Whatever was acknowledged is there."""
        clients = self._league.clients
        newest: dict[tuple[int, str], WriteState] = {(one.owner, one.id): one for one in clients.all()}
        for state in newest.values():
            member = self._league.members[state.owner]
            assert member.process is not None, "all run"
            entity = await member.process.store.entity(state.id)
            entity = None if entity is None or entity.origin is not None else entity
            if entity is None:
                text = f"{member.name} has lost {state.id}, whose creation it had acknowledged"
                require(state.is_deleted or state.is_unsure, text)
                continue
            require(not state.is_deleted, f"{member.name} has {state.id}, which was deleted")
            fields = msgspec.json.decode(entity.body)
            number = int(fields["name"].removeprefix("n"))
            text = f"{member.name} has write {number} of {state.id}; {state.acknowledged} was acknowledged"
            require(number >= state.acknowledged, text)
            names = [one.get("name") for one in fields.get("attachment", ())]
            for marker, is_acknowledged in state.appended.items():
                count = names.count(marker)
                text = f"{state.id} at {member.name} has {marker} {count} times ({is_acknowledged=})"
                require(count == 1 if is_acknowledged else count <= 1, text)
        for marker, (owner, is_acknowledged) in clients.once.items():
            process = self._league.members[owner].process
            assert process is not None, "all run"
            rows = await process.store.sql.fetch("SELECT body FROM entity WHERE origin IS NULL")
            count = sum(f'"{marker}"'.encode() in body for (body,) in rows)
            text = f"{process.name} has {count} entities of the requests {marker} ({is_acknowledged=})"
            require(count == 1 if is_acknowledged else count <= 1, text)

    # -- what the others have ------------------------------------------------------------------------------

    async def _check_replicas(
        self,
        number: int,
        member: SimulatedMember,
        expected: dict[str, Known],
        waiting: set[str],
        known: Iterable[Iterable[Known]],
    ) -> None:
        """A member has what it should have, and nothing else of the others."""
        assert member.process is not None, "all run"
        rows = await member.process.store.sql.fetch(
            "SELECT id, origin, body, hashlink FROM entity WHERE origin IS NOT NULL"
        )
        replicas = {id: (origin, body) for id, origin, body, _ in rows}
        for entity_id, _, body, link in rows:
            require(hashlink(body) == link, f"{member.name} has other bytes of {entity_id} than it says")
        own = {one.id for one in list(known)[number]}
        honest = {one.did: place for place, one in enumerate(self._league.members)}
        for entity_id, one in expected.items():
            if entity_id in waiting or entity_id in own:
                continue
            require(
                entity_id in replicas, f"{member.name} lacks {entity_id} ({await self._why(member, one)})"
            )
            origin, body = replicas[entity_id]
            require(origin == one.origin, f"{member.name} has {entity_id} of {origin}, not of {one.origin}")
            text = f"{member.name} has {body!r}, the origin has {one.body!r} ({await self._why(member, one)})"
            require(body == one.body, text)
        for entity_id, (origin, body) in replicas.items():
            if origin not in honest or entity_id in expected or entity_id in waiting:
                continue
            is_lost = honest[origin] in self._league.restored  # with what it knew of its events
            require(is_lost, f"{member.name} has {body!r}, and should not")

    async def _why(self, member: SimulatedMember, one: Known) -> str:
        assert member.process is not None, "all run"
        head = await heads.of_key(member.process.store, one.origin, entity_key(one.origin, one.id))
        latest = self._watch.announced.latest.get((one.origin, entity_key(one.origin, one.id)))
        return f"head: {head}; ledger: {latest.event if latest is not None else None}"

    async def _check_heads(self, member: SimulatedMember) -> None:
        """The table of heads is what the ledger has, and what the store has."""
        assert member.process is not None, "all run"
        store = member.process.store
        entities = {
            id: (origin, link)
            for id, origin, link in await store.sql.fetch(
                "SELECT id, origin, hashlink FROM entity WHERE origin IS NOT NULL"
            )
        }
        proved: set[str] = set()
        counted: dict[str, int] = {}
        for (issuer, key), latest in self._watch.announced.latest.items():
            if issuer == member.did:
                continue
            counted[issuer] = counted.get(issuer, 0) + 1
            head = await heads.of_key(store, issuer, key)
            text = f"{member.name} knows nothing of {key} of {issuer}"
            require(head is not None, text)
            assert head is not None, "it was just required"
            event = latest.event
            text = f"{member.name} has {head}, the ledger {event} at {latest.position}"
            is_same = (head.version, head.position) == (event.entity.version, latest.position)
            require(is_same and (event.is_delete or head.hashlink == event.hashlink), text)
            require((head.state == "deleted") == event.is_delete or head.state == "rejected", text)
            if head.entity_id is not None:
                proved.add(head.entity_id)
                text = f"{member.name} has a head {head} for {entities.get(head.entity_id)}"
                require(entities.get(head.entity_id) == (issuer, head.proved_hashlink), text)
            else:
                require(head.state != "stored", text)
        require(
            set(entities) == proved, f"{member.name} has replicas without heads: {set(entities) - proved}"
        )
        for origin in await origins.origins(store):
            text = f"{member.name} counts {origin}, the ledger has {counted.get(origin.did, 0)}"
            require(origin.unaccounted == 0 and origin.heads == counted.get(origin.did, 0), text)

    async def _check_cursors(self, member: SimulatedMember) -> None:
        """Cursors are where the ledger and the feed end."""
        assert member.process is not None, "all run"
        store = member.process.store
        cursor, end = await store.cursor(FOLLOWER_CURSOR), self._watch.announced.position
        require(cursor == end, f"{member.name} has followed to {cursor}, the ledger ends at {end}")

    async def _check_announced(self, member: SimulatedMember) -> None:
        """Every announced version that is retained has its hash, and belongs to its key."""
        assert member.process is not None, "all run"
        rows = await member.process.store.sql.fetch("SELECT hashlink, key, body FROM announced_part")
        for link, key, body in rows:
            text = f"{member.name} retains {body!r} as {link}"
            require(hashlink(body) == link, text)
            require(entity_key(member.did, msgspec.json.decode(body)["id"]) == key.hex(), text)

    async def _check_accusations(self, member: SimulatedMember) -> None:
        """Nobody is accused but those that lied, or before whom something changed bytes."""
        assert member.process is not None, "all run"
        league = self._league
        suspects = {league.members[each].did for each in league.restored} | league.proxied
        suspects |= {league.liar.did} if league.liar is not None else set()
        for one in await evidence.records(member.process.store, 1000):
            require(one.issuer in suspects, f"{member.name} accuses a member that did nothing: {one}")
        for conflict in await evidence.conflicts(member.process.store, 1000):
            is_contested = conflict.entity_id.startswith("urn:sim:contested:")
            require(is_contested, f"{member.name} lost the identifier of {conflict}")
