"""What has to hold when nothing is broken any more, and everything that was begun has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.core.audit import AnchorCheck, AnnouncedAnchor, ChainStart, anchor_id, verified
from hansa.core.canonical import hashlink
from hansa.core.clock import read_rfc3339
from hansa.core.errors import Refused
from hansa.core.identifiers import entity_key, is_bound_form
from hansa.replication.status import ReplicationView
from hansa.sim.checking.confidential import check_confidential, under_way
from hansa.sim.checking.watching import Watch
from hansa.sim.league import SimulatedLeague
from hansa.sim.members.member import SimulatedMember
from hansa.sim.oracle import Known, blocked, expected_replicas, is_published
from hansa.sim.violation import ViolationError, require
from hansa.sim.workload import WriteState, appended_to, number_of
from hansa.sim.world.loop import START
from hansa.store.tables import audit, evidence, facts, heads, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR

Rows = list[Any]
RECORDS_MAX: Final = 500
"""Of an audit log, verified at a time."""
RECORDED_S: Final = 0.1
"""After a failure, until no request is under way any more that was begun before it."""


async def is_quiet(league: SimulatedLeague) -> str | None:
    """What still goes on; None: nothing."""
    if league.is_busy:
        return "clients wait for answers"
    if not league.ledger.is_idle:
        return "the ledger has transactions that wait"
    position = league.ledger.main.application.state.head.position
    honest = {one.did for number, one in enumerate(league.members) if number not in league.lacking}
    # What a member has lost with its store, the others wait for until it has been taken back, or withdrawn.
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
    return await under_way(league, honest)


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
            if number not in league.restored and not league.members[number].clock.was_wrong:
                self._check_needs([one for one in of_origin if one.id in waiting], own, publish)
        for number, member in enumerate(league.members):
            expected = expected_replicas(published, member.did, league.consume[number])
            announced = [one for one in published if one.id not in waiting]
            sure = expected_replicas(announced, member.did, league.consume[number])
            unsure = waiting | (expected.keys() - sure.keys())  # what only those need that wait themselves
            await self._check_replicas(number, member, expected, unsure, known)
            await self._check_heads(member)
            await self._check_cursors(member)
            await self._check_announced(member)
            await self._check_accusations(member)
            await self._check_failing(member)
            await self._check_log(member)
        await check_confidential(league, known)

    def _check_needs(self, waiting: Sequence[Known], own: Mapping[str, Known], publish: str) -> None:
        """What waits for another entity was not announced since that one was withdrawn, and is here still."""
        latest = self._watch.announced.latest
        deleted = {one.id for one in self._league.clients.all() if one.was_deleted}
        for one in waiting:
            announced = latest.get((one.origin, entity_key(one.origin, one.id)))
            if announced is None or announced.event.is_delete:
                continue
            for needed in (own[each] for each in one.needs if each in own):
                before = latest.get((one.origin, entity_key(one.origin, needed.id)))
                if before is None or needed.id in deleted:
                    continue  # it may not have been here at all, and then nothing waited for it
                if is_published(needed, publish) or not needed.is_claimed:
                    continue
                text = f"{one.id} was announced ({announced}) while what it needs was not public ({before})"
                require(before.event.is_delete and announced.event.time <= before.event.time, text)

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
            number = number_of(state.type, fields)
            text = f"{member.name} has write {number} of {state.id}; {state.acknowledged} was acknowledged"
            require(number >= state.acknowledged, text)
            names = appended_to(fields)
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
            "SELECT id, origin, body, hashlink FROM entity WHERE origin IS NOT NULL AND public = 1"
        )
        replicas = {id: (origin, body) for id, origin, body, _ in rows}
        for entity_id, _, body, link in rows:
            require(hashlink(body) == link, f"{member.name} has other bytes of {entity_id} than it says")
        own = {one.id for one in list(known)[number]}
        honest = {one.did for one in self._league.members}
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
            if origin in honest and entity_id not in waiting:
                require(entity_id in expected, f"{member.name} has {body!r}, and should not")

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
                "SELECT id, origin, hashlink FROM entity WHERE origin IS NOT NULL AND public = 1"
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

    async def _check_log(self, member: SimulatedMember) -> None:
        """The audit log is one chain, from its first record to its last, and what was anchored is in it."""
        assert member.process is not None, "all run"
        store = member.process.store
        start = last = await audit.start(store)
        place = member.did, entity_key(member.did, anchor_id(member.did))
        anchors = [
            AnnouncedAnchor(one.position, one.time, one.event.hashlink)
            for one in self._watch.announced.events.get(place, ())
        ]
        check = AnchorCheck(member.did, anchors, start)
        try:
            while records := await audit.page(store, last.seq, RECORDS_MAX):
                for record in verified(records, last):
                    check.see(record)
                last = ChainStart(records[-1].seq, records[-1].hash)
            if anchors:
                check.report()
        except Refused as refusal:
            raise ViolationError(f"the audit log of {member.name} does not hold: {refusal}") from refusal
        require(
            last == await audit.head(store),
            f"the audit log of {member.name} begins after {start}, ends at {last}",
        )

    async def _check_failing(self, member: SimulatedMember) -> None:
        """No member is taken for one that fails after it has answered."""
        assert member.process is not None, "all run"
        if member.clock.was_wrong:
            return  # and so may be the times that it has recorded
        for origin in await origins.origins(member.process.store):
            answered_at_s = self._watch.answered_at_s.get((member.name, origin.did))
            if origin.failing_since is None or answered_at_s is None:
                continue
            since_s = (read_rfc3339(origin.failing_since) - START).total_seconds()
            text = f"{member.name} has {origin}, which has answered at {answered_at_s} s"
            is_later = answered_at_s > since_s + RECORDED_S and answered_at_s > member.process.started_at_s
            require(not is_later, text)

    async def _check_accusations(self, member: SimulatedMember) -> None:
        """Nobody is accused but those that lied; what a proxy has changed, nobody has signed."""
        assert member.process is not None, "all run"
        league = self._league
        suspects = {league.members[each].did for each in league.restored}
        suspects |= {league.liar.did} if league.liar is not None else set()
        for one in await evidence.records(member.process.store, 1000):
            require(one.issuer in suspects, f"{member.name} accuses a member that did nothing: {one}")
        for conflict in await evidence.conflicts(member.process.store, 1000):
            is_contested = conflict.entity_id.startswith("urn:sim:contested:")
            is_contested |= conflict.entity_id in league.clients.referred
            require(is_contested, f"{member.name} lost the identifier of {conflict}")
