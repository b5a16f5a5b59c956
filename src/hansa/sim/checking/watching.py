"""What has to hold at every moment, whatever is broken.

On the line    whatever a marketplace sends has the hash that was requested, is public, and is under an
               identifier that nobody else can claim any more
At a stranger  nothing is visible that is not
In a store     a replica is a version that its origin has announced; it never goes back to an older one; and
               it is gone as soon as the event of its deletion was followed
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.canonical import hashlink
from hansa.core.errors import HansaError
from hansa.core.events import ENTITIES_PATH
from hansa.core.identifiers import entity_key, is_bound_form
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.announced.bundles import BUNDLE_TYPE, BUNDLES_PATH, unpacked
from hansa.replication.confidential.exchange import CONFIDENTIAL_PATH
from hansa.replication.publisher import PUBLISHER_CURSOR
from hansa.sim.league import RETAINED_MAX, SimulatedLeague
from hansa.sim.members.member import SimulatedMember
from hansa.sim.members.process import Process
from hansa.sim.oracle import is_addressed, is_for_everyone
from hansa.sim.violation import ViolationError, require
from hansa.sim.workload import SECRET, number_of
from hansa.sim.world.network import Exchanged
from hansa.store import Store
from hansa.store.tables.heads import FOLLOWER_CURSOR

EVENTS_MAX: Final = 500
SEARCHED_MAX_BYTES: Final = 1_000_000
"""Of a message, in which secrets are looked for; some proxies make them very long."""
_NOT_RETAINED: Final = (
    "SELECT p.entity_id, p.hashlink, e.body, p.is_due OR EXISTS (SELECT 1 FROM outbox AS o "
    "WHERE o.entity_id = p.entity_id) OR EXISTS (SELECT 1 FROM change AS c "
    "WHERE c.entity_id = p.entity_id AND c.seq > ?) FROM publication AS p JOIN entity AS e ON e.id = p.entity_id "
    "WHERE p.version > 0 AND p.is_withdrawn = 0 AND p.claimed_by IS NULL AND e.origin IS NULL "
    "AND e.hashlink != p.hashlink "
    "AND NOT EXISTS (SELECT 1 FROM announced_part AS a WHERE a.hashlink = p.hashlink) "
    "AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.entity_id = p.entity_id AND o.is_delete = 1)"
)
"""With what is announced next, if anything is."""
Place = tuple[str, str]
"""DID of an issuer, and ledger key."""


class Missing(msgspec.Struct, frozen=True):
    """A member answered that it has no bytes of a version any more."""

    member: SimulatedMember
    key: str
    hashlink: str
    position: int
    """Where the ledger ended then."""


class Announced:
    """All events of the league that are not sealed, as far as they are committed anywhere.

    Args:
        league: Which.
    """

    def __init__(self, league: SimulatedLeague) -> None:
        self._bus = league.ledger.bus("", lambda: True)
        self.position = 0
        self.latest: dict[Place, CommittedEvent] = {}
        self.positions: dict[Place, dict[str, list[int]]] = {}
        """Where each version was announced, by hashlink: several times, when it came back."""
        self.deletions: dict[Place, list[int]] = {}
        self.first: dict[Place, int] = {}
        self.events: dict[Place, list[CommittedEvent]] = {}
        """All of them, in ledger order."""
        self.issuers: dict[str, set[str]] = {}
        """By key: a member that lies announces keys of others."""

    def newest_at(self, place: Place, position: int) -> CommittedEvent | None:
        """The newest event of a key, when the ledger ended at a position."""
        return next((one for one in reversed(self.events.get(place, ())) if one.position <= position), None)

    async def read(self) -> None:
        """Read what is new."""
        while True:
            page = await self._bus.search(self.position, limit=EVENTS_MAX)
            for one in page.events:
                if one.event.sealed is not None:
                    continue
                place = (one.event.issuer, one.event.entity.key)
                self.events.setdefault(place, []).append(one)
                self.issuers.setdefault(place[1], set()).add(place[0])
                self.latest[place] = one
                self.first.setdefault(place, one.position)
                if one.event.is_delete:
                    self.deletions.setdefault(place, []).append(one.position)
                else:
                    self.positions.setdefault(place, {}).setdefault(one.event.hashlink, []).append(
                        one.position
                    )
            if page.scanned_to <= self.position:
                return
            self.position = page.scanned_to


class Watch:
    """Looks at everything, all the time.

    Args:
        league: Which.
    """

    def __init__(self, league: SimulatedLeague) -> None:
        self._league = league
        self.announced = Announced(league)
        self._honest = {member.name: member for member in league.members}
        self._seen: dict[tuple[str, Place], int] = {}
        """The newest position of which a member's replica was seen."""
        self._seen_in: dict[str, float | None] = {}
        self._seen_state: dict[str, tuple[Process, int, int]] = {}
        """By member, its process, how much that had written, and where the ledger ended, when it was seen."""
        self._numbers: dict[tuple[str, str], int] = {}
        """By member and identifier, the newest write of a confidential entity that was seen there."""
        self._missing: list[Missing] = []
        self.answered_at_s: dict[tuple[str, str], float] = {}
        """By who requests, and the DID of the origin, when the last request was sent that was answered."""
        self.violation: str | None = None
        league.network.observers.append(self._overhear)
        league.clients.observers.append(self._look_after_answer)

    # -- on the line ---------------------------------------------------------------------------------------

    def _overhear(self, exchanged: Exchanged) -> None:
        if self.violation is None:
            self.violation = self._disclosed_on_line(exchanged) or self._wrong_on_line(exchanged)

    def _disclosed_on_line(self, exchanged: Exchanged) -> str | None:
        """What is sent to somebody that may not have it; None: nothing."""
        sides = {exchanged.sender, exchanged.receiver}
        is_sent = exchanged.request.url.endswith(CONFIDENTIAL_PATH) and b'"sent"' in exchanged.response.body
        if is_sent and not sides <= set(self._honest):
            return f"{exchanged.receiver} sends {exchanged.sender} what is confidential"
        for body in (exchanged.request.body, exchanged.response.body):
            for secret in SECRET.findall(body, 0, SEARCHED_MAX_BYTES):
                readers = self._league.clients.audiences[secret.decode()]
                if not sides <= readers:
                    return f"{sides} exchange {secret!r}, which is for {sorted(readers)}"
        return None

    def _wrong_on_line(self, exchanged: Exchanged) -> str | None:
        """What is wrong with what passed; None: nothing."""
        if exchanged.request.url.endswith(BUNDLES_PATH) and exchanged.sender in self._honest:
            sender = self._honest[exchanged.sender]
            for part in unpacked(exchanged.request.body):
                problem = self._wrong_body(part.key, bytes(part.entity), part.hashlink)
                if problem is not None:
                    return f"{sender.name} pushed {problem}"
            return None
        is_served = exchanged.request.url.endswith(ENTITIES_PATH) and exchanged.request.method == "POST"
        if not is_served or exchanged.receiver not in self._honest:
            return None
        if exchanged.receiver in self._league.network.proxies or exchanged.response.status != 200:
            return None
        receiver = self._honest[exchanged.receiver]
        if exchanged.request.headers.get("accept") == BUNDLE_TYPE:
            for part in unpacked(exchanged.response.body) if exchanged.response.body else ():
                problem = self._wrong_body(part.key, bytes(part.entity), part.hashlink)
                if problem is not None:
                    return f"{receiver.name} served in a bundle {problem}"
            return None
        requested = msgspec.json.decode(exchanged.request.body)["entities"]
        self._note_answer(exchanged, [one["key"] for one in requested])
        for one, line in zip(requested, exchanged.response.body.splitlines(), strict=True):
            answered = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            if bytes(answered["status"]) == b'"superseded"':
                position = self._league.ledger.main.application.state.head.position
                self._missing.append(Missing(receiver, one["key"], one["hashlink"], position))
            if "entity" in answered:
                problem = self._wrong_body(one["key"], bytes(answered["entity"]), one["hashlink"])
                if problem is not None:
                    return f"{receiver.name} served {problem}"
        return None

    def _note_answer(self, exchanged: Exchanged, keys: list[str]) -> None:
        """Somebody that requested entities of their origin was answered."""
        receiver = self._honest[exchanged.receiver]
        issuers = self.announced.issuers
        if exchanged.sender in self._honest and all(issuers.get(key) == {receiver.did} for key in keys):
            self.answered_at_s[exchanged.sender, receiver.did] = exchanged.began_at_s

    def _wrong_body(self, key: str, body: bytes, link: str) -> str | None:
        fields = msgspec.json.decode(body)
        entity_id = fields["id"]
        if hashlink(body) != link:
            return f"other bytes of {entity_id} than those of {link}: {body!r}"
        if not is_for_everyone(fields):
            return f"{entity_id}, which is not for everyone: {body!r}"
        if not is_bound_form(entity_id) and not self._league.ledger.main.reader.claims((key,)):
            return f"{entity_id} before its claim is committed"
        return None

    def _is_claimed(self, did: str, entity_id: str) -> bool:
        """Whether nobody else can claim an identifier any more, by what is committed anywhere."""
        if is_bound_form(entity_id):
            return True
        claims = self._league.ledger.main.reader.claims((entity_key(did, entity_id),))
        return any(claim.issuer == did for claim in claims)

    # -- at every step -------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look at all members.

        Raises:
            ViolationError: Something does not hold.
        """
        require(self.violation is None, self.violation or "")
        require(not self._league.unhandled, f"nobody handles {self._league.unhandled}")
        self._league.raise_failures()
        await self.announced.read()
        await self._look_at_missing()
        for member in self._league.members:
            require(not member.failures.texts, f"{member.name}: {member.failures.texts}")
            if member.process is not None:
                await self._look_at(member)

    async def _look_after_answer(self, member: SimulatedMember) -> None:
        await self.announced.read()
        if member.process is not None:
            await self._look_at(member)

    async def _look_at_missing(self) -> None:
        """Whoever announces a version has its bytes, and a while longer."""
        missing, self._missing = self._missing, []
        never_withheld = {
            (one.owner, entity_key(self._league.members[one.owner].did, one.id))
            for one in self._league.clients.all()
            if not one.was_withheld
        }
        numbers = {member.name: number for number, member in enumerate(self._league.members)}
        for one in missing:
            newest = self.announced.newest_at((one.member.did, one.key), one.position)
            if newest is None or newest.event.hashlink != one.hashlink or one.member.process is None:
                continue
            if (
                numbers[one.member.name],
                one.key,
            ) not in never_withheld or one.member.restored_at_s is not None:
                continue
            rows = await one.member.process.store.sql.fetch("SELECT count(*) FROM announced_part")
            text = f"{one.member.name} has no bytes of {one.hashlink} of {one.key}, which it announced last"
            require(rows[0][0] >= RETAINED_MAX // 2, text)

    async def _look_at(self, member: SimulatedMember) -> None:
        assert member.process is not None, "it runs"
        store = member.process.store
        seen = member.process, member.process.rows_stored(), self.announced.position
        if self._seen_state.get(member.name) == seen:
            return  # nothing has happened since
        try:
            cursor = await store.cursor(FOLLOWER_CURSOR)
            rows = await store.sql.fetch(
                "SELECT id, hashlink, origin, public FROM entity WHERE origin IS NULL OR public = 1"
            )
            private = await store.sql.fetch(
                "SELECT id, type, body FROM entity WHERE origin IS NOT NULL AND public = 0"
            )
        except HansaError:
            return  # its disk is full
        if self._seen_in.get(member.name) != member.restored_at_s:
            self._seen_in[member.name] = member.restored_at_s
            for name, place in [each for each in self._seen if each[0] == member.name]:
                del self._seen[name, place]
            self._numbers = {each: n for each, n in self._numbers.items() if each[0] != member.name}
        for entity_id, type_name, body in private:
            self._look_at_private(member, entity_id, type_name, body)
        for entity_id, link, origin, is_public in rows:
            if origin is None:
                if is_public:
                    text = f"{member.name} shows {entity_id} before its claim is committed"
                    require(self._is_claimed(member.did, entity_id), text)
                continue
            self._look_at_replica(member, (origin, entity_key(origin, entity_id)), entity_id, link, cursor)
        if member.restored_at_s is None:
            await self._look_at_retained(member, store)
        self._seen_state[member.name] = seen

    def _look_at_private(self, member: SimulatedMember, entity_id: str, type_name: str, body: bytes) -> None:
        """A confidential replica is for this member, and never goes back to an older version."""
        fields = msgspec.json.decode(body)
        require(is_addressed(fields, member.did), f"{member.name} has {body!r}, which is not for it")
        number, before = number_of(type_name, fields), self._numbers.get((member.name, entity_id), 0)
        is_restored = any(one.restored_at_s is not None for one in self._league.members)
        text = f"{member.name} went back with {entity_id} from write {before} to {number}"
        require(number >= before or is_restored, text)
        self._numbers[member.name, entity_id] = number

    async def _look_at_retained(self, member: SimulatedMember, store: Store) -> None:
        """The bytes of the newest version of an own entity on the ledger are here, while it is public.

        What was deleted has none, also when an entity is under its identifier again before that is announced.
        """
        deleted = {one.id for one in self._league.clients.all() if one.was_deleted}
        rows = await store.sql.fetch(_NOT_RETAINED, (await store.cursor(PUBLISHER_CURSOR),))
        for entity_id, link, body, is_under_way in rows:
            if is_under_way and entity_id in deleted:
                continue
            text = f"{member.name} has announced {link} of {entity_id}, and retains no such bytes"
            require(not is_for_everyone(msgspec.json.decode(body)), text)

    def _look_at_replica(
        self, member: SimulatedMember, place: Place, entity_id: str, link: str, cursor: int
    ) -> None:
        positions = self.announced.positions.get(place, {}).get(link)
        if positions is None:
            raise ViolationError(f"{member.name} has bytes of {entity_id} that nobody announced")
        followed = [each for each in positions if each <= cursor]
        text = f"{member.name} has {entity_id} as announced at {positions}, and has followed to {cursor}"
        require(followed, text)
        newest = max(followed)
        before = self._seen.get((member.name, place), 0)
        text = f"{member.name} went back with {entity_id} from position {before} to {newest}"
        require(newest >= before, text)
        deleted = [each for each in self.announced.deletions.get(place, ()) if newest < each <= cursor]
        text = f"{member.name} has {entity_id} of position {newest}, which was deleted at {deleted}"
        require(not deleted, text)
        self._seen[member.name, place] = newest

    async def probe(self) -> None:
        """Ask a member, as a stranger, for one of the identifiers that its clients know.

        Raises:
            ViolationError: It answers with what is not for strangers.
        """
        league = self._league
        known = league.clients.all()
        if not known:
            return
        state = known[league.drawn.randrange(len(known))]
        member = league.members[state.owner]
        answer = await league.clients.call(member, "GET", f"{ENTITIES_PATH}/{state.id}", headers={})
        if answer is None or answer.status != 200 or member.process is None:
            return
        fields = msgspec.json.decode(answer.body)
        require(is_for_everyone(fields), f"{member.name} shows strangers {answer.body!r}")
        entity = await member.process.store.entity(state.id)
        owner = entity.origin if entity is not None and entity.origin is not None else member.did
        text = f"{member.name} shows strangers {state.id} before its claim is committed"
        require(self._is_claimed(owner, state.id), text)
