"""A member that lies: it has a key and a place in the league, and abides by nothing that others can check.

It reads the ledger, what is public at the others, and every bundle and answer that it is sent. What it
publishes is validly signed; what it serves for that is wrong, an older version, garbage, or nothing. It
claims identifiers that it has learned, pushes bytes under others' keys, and floods.

Nothing that it does may change what the others have of one another, or stop them.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import zlib
from typing import Any, Final

import msgspec

from hansa.core.base64url import from_base64url
from hansa.core.batches import BatchSigner
from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock
from hansa.core.errors import HansaError
from hansa.core.events import (
    ATTRIBUTE_VALUE_CHANGE,
    CREATE,
    ENTITIES_PATH,
    EntityVersion,
    LifecycleEvent,
    encode_event,
    event_name,
    event_time,
    identified,
)
from hansa.core.http import MEMBER_TOKEN_HEADER, HttpRequest, HttpResponse
from hansa.core.identifiers import bound_entity_id, entity_key
from hansa.core.limits import Limits
from hansa.identity import MemberAnswerSigner, MemberSigner
from hansa.replication.announced.bundles import BUNDLE_TYPE, BUNDLES_PATH, BundledPart, packed, unpacked
from hansa.replication.confidential.exchange import CONFIDENTIAL_PATH, KEYS_MAX
from hansa.replication.exchange import encode_line
from hansa.sim.members.identity import Identity
from hansa.sim.world.ledger import SimulatedLedger
from hansa.sim.world.network import Exchanged, SimulatedNetwork

TYPE: Final = "ProductOffering"
LEARNED_MAX: Final = 200


class Liar:
    """One member that lies.

    Args:
        one: Who it is.
        victims: The others.
        network: Between all.
        ledger: Of all.
        clock: The league's.
        drawn: Its random numbers.
        limits: Of its signatures.
    """

    def __init__(
        self,
        one: Identity,
        victims: tuple[Identity, ...],
        network: SimulatedNetwork,
        ledger: SimulatedLedger,
        clock: Clock,
        drawn: random.Random,
        limits: Limits,
    ) -> None:
        self.name, self.endpoint, self.did = one.name, one.endpoint, one.did
        self._victims = victims
        self._clock = clock
        self._drawn = drawn
        self._bus = ledger.bus(one.did, lambda: True)
        self._batches = BatchSigner(one.key, one.did, clock)
        self._signer = MemberSigner(one.key, one.did, clock, drawn.randbytes, limits)
        self._answers = MemberAnswerSigner(one.key, one.did, clock)
        self._http = network.client(one.name, lambda: True)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bodies: dict[str, list[bytes]] = {}
        """What it has announced, by key, oldest first."""
        self._learned: dict[str, None] = {}
        """Identifiers of others."""
        self._read_to = 0
        self._numbers = itertools.count(1)
        self.lie = ""
        """What it does with requests; empty: it answers them as it should."""
        self.answers = 0
        network.begin(self)
        network.observers.append(self._overhear)

    # -- being a host of the network -----------------------------------------------------------------------

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, content = await self._answer(scope["path"], body)
        headers = self._signature(dict(scope["headers"]), status, content)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _signature(
        self, headers: dict[bytes, bytes], status: int, content: bytes
    ) -> list[tuple[bytes, bytes]]:
        """What proves that it was this member that has lied."""
        token = headers.get(MEMBER_TOKEN_HEADER.lower().encode(), b"").decode()
        if not token:
            return []
        claims = token.split(".")[1]
        caller = msgspec.json.decode(from_base64url(claims))["iss"]
        digest = hashlib.sha256(content).digest()
        signed = self._answers.headers(caller, token, status, digest)
        return [(name.lower().encode(), value.encode()) for name, value in signed.items()]

    async def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.answers += 1
        if path == BUNDLES_PATH and body:
            for part in unpacked(body):
                self._learn(bytes(part.entity))
            return 204, b""
        if path != ENTITIES_PATH:
            return 404, b"{}"
        if self.lie == "slow":
            await self._clock.sleep(15.0)
        requested = msgspec.json.decode(body)["entities"]
        if self.lie == "garbage":
            return 200, self._drawn.randbytes(200)
        return 200, b"".join([self._line(one["key"], one["hashlink"]) for one in requested])

    def _line(self, key: str, link: str) -> bytes:
        bodies = self._bodies.get(key, [])
        if self.lie == "withheld" or not bodies:
            return encode_line(key, "unknown")
        if self.lie == "stale":
            return encode_line(key, "found", bodies[0])
        if self.lie == "wrong":
            return encode_line(key, "found", bodies[-1].replace(b'"name":"', b'"name":"not '))
        exact = [body for body in bodies if hashlink(body) == link]
        return encode_line(key, "found", (exact or bodies)[-1])

    # -- learning ------------------------------------------------------------------------------------------

    def _overhear(self, exchanged: Exchanged) -> None:
        """What others tell each other is theirs; what they answer me is mine to read."""
        if exchanged.sender == self.name and exchanged.request.url.endswith(ENTITIES_PATH):
            for line in exchanged.response.body.splitlines():
                try:
                    self._learn(bytes(msgspec.json.encode(msgspec.json.decode(line).get("entity"))))
                except (*UNREADABLE, AttributeError):
                    continue

    def _learn(self, body: bytes) -> None:
        try:
            fields = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return
        if isinstance(fields, dict) and len(self._learned) < LEARNED_MAX:
            self._learned.setdefault(str(fields.get("id")))
            for one in fields.get("category", ()):
                self._learned.setdefault(str(one.get("id")))

    async def _look(self) -> dict[str, str]:
        """Read the ledger, and request what is on it; the keys of others with their hashlinks."""
        keys: dict[str, str] = {}
        page = await self._bus.search(self._read_to)
        self._read_to = page.scanned_to
        for committed in page.events:
            event = committed.event
            if event.issuer == self.did or event.sealed is not None:
                continue
            keys[event.entity.key] = event.hashlink
            if event.nonce is not None:
                nonce = bytes.fromhex(event.nonce)
                self._learned.setdefault(bound_entity_id(event.entity.type, event.issuer, nonce))
        expected = [{"key": key, "hashlink": link} for key, link in list(keys.items())[-20:]]
        for victim in self._victims if expected else ():
            await self._send(
                victim, ENTITIES_PATH, msgspec.json.encode({"entities": expected}), "application/json"
            )
        return keys

    # -- deeds ---------------------------------------------------------------------------------------------

    async def steal(self) -> None:
        """Publish under every identifier that it can learn of."""
        await self._attempt(self._steal())

    async def _steal(self) -> None:
        await self._look()
        for entity_id in list(self._learned)[-20:]:
            if entity_key(self.did, entity_id) not in self._bodies:
                await self._announce(entity_id, {"name": "stolen"})

    async def forge(self, kind: str) -> None:
        """Announce what it will not serve as announced, or what is not its own."""
        await self._attempt(self._forge(kind))

    async def _forge(self, kind: str) -> None:
        entity_id = f"urn:lie:{next(self._numbers)}"
        match kind:
            case "older":
                for n in range(3):
                    await self._announce(entity_id, {"name": f"version {n}"})
            case "another's":
                keys = await self._look()
                victim = self._drawn.choice(self._victims)
                for key in list(keys)[:3]:
                    await self._announce(entity_id, {"name": "not mine"}, key=key)
                    await self._announce(entity_id, {"name": "not mine"}, key=key, issuer=victim.did)
            case "private":
                await self._announce(entity_id, {"name": "private"}, type_name="ProductOrder")
            case _:
                await self._announce(entity_id, {"name": "one"}, claimed={"name": "another"})

    async def flood(self, count: int) -> None:
        """Announce a lot."""
        for _ in range(count // 10):
            await self._attempt(
                asyncio.gather(
                    *[self._announce(f"urn:lie:{next(self._numbers)}", {"name": "flood"}) for _ in range(10)]
                )
            )

    async def push(self, kind: str) -> None:
        """Push bundles whose bytes are not what they say."""
        await self._attempt(self._push(kind))

    async def _push(self, kind: str) -> None:
        keys = await self._look()
        entity_id = f"urn:lie:{next(self._numbers)}"
        body = self._body(entity_id, TYPE, {"name": "pushed"})
        parts = [
            BundledPart(
                entity_key(self.did, entity_id),
                hashlink(body),
                msgspec.Raw(self._body(entity_id, TYPE, {"name": "other"})),
            )
        ]
        if kind != "wrong":
            parts += [BundledPart(key, link, msgspec.Raw(body)) for key, link in list(keys.items())[:20]]
        bundle = packed(parts)
        assert bundle is not None, "it is small"
        if kind == "private":
            bundle = zlib.compress(b"\n" * 200_000)
        for victim in self._victims:
            await self._send(victim, BUNDLES_PATH, bundle, BUNDLE_TYPE)
        await self._announce(entity_id, {"name": "pushed"})

    async def pry(self) -> None:
        """Request what is sealed for others."""
        await self._attempt(self._pry())

    async def _pry(self) -> None:
        page = await self._bus.search(0)
        keys = [one.event.entity.key for one in page.events if one.event.sealed is not None]
        body = msgspec.json.encode({"keys": keys[-KEYS_MAX:]})
        for victim in self._victims if keys else ():
            await self._send(victim, CONFIDENTIAL_PATH, body, "application/json")

    # -- means ---------------------------------------------------------------------------------------------

    async def _attempt(self, deed: Any) -> None:
        try:
            await deed
        except HansaError:
            return  # the others did not let it

    @staticmethod
    def _body(entity_id: str, type_name: str, fields: dict[str, Any]) -> bytes:
        return canonical_json({"@type": type_name, "id": entity_id, "lifecycleStatus": "Launched"} | fields)

    async def _announce(
        self,
        entity_id: str,
        fields: dict[str, Any],
        claimed: dict[str, Any] | None = None,
        type_name: str = TYPE,
        **overrides: str,
    ) -> None:
        body = self._body(entity_id, type_name, fields)
        key = overrides.get("key", entity_key(self.did, entity_id))
        before = self._bodies.get(key, [])
        event = identified(
            LifecycleEvent(
                id="",
                type=event_name(type_name, CREATE if not before else ATTRIBUTE_VALUE_CHANGE),
                time=event_time(self._clock.now()),
                issuer=overrides.get("issuer", self.did),
                entity=EntityVersion(key, type_name, len(before) + 1),
                hashlink=hashlink(self._body(entity_id, type_name, claimed) if claimed is not None else body),
                previous=hashlink(before[-1]) if before else None,
            )
        )
        self._bodies[key] = [*before, body]
        await self._bus.publish([encode_event(event)], self._batches)

    async def _send(self, victim: Identity, path: str, body: bytes, media_type: str) -> HttpResponse | None:
        url = victim.endpoint + path
        headers = {"content-type": media_type} | self._signer.headers(victim.did, "POST", url, body)
        try:
            return await self._http.send(HttpRequest("POST", url, headers, body))
        except HansaError:
            return None

    async def end(self) -> None:
        """Stop everything."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
