"""A member of a league of real processes that lies.

The test itself, with that member's keys and at its endpoint.

Its `hansa serve` does not run. What it publishes goes to the engine of another member, as anybody's
transaction may; what the others ask for is answered by a small HTTP server of the test.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
from aiohttp import web

from hansa.core.batches import BatchSigner
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.events import (
    CREATE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    encode_event,
    event_name,
    event_time,
    identified,
)
from hansa.core.http import MEMBER_TOKEN_HEADER
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.identity import MemberAnswerSigner
from hansa.node.folder import CARD, LEDGER, LEDGER_STATE, MEMBER_KEY, MemberCard
from hansa.node.folder.demo_league import HOST
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.replication.exchange import encode_line
from tests.league.harness import CLOCK, RunningMember

ENDLESS_CHUNK = b" " * 65_536
TYPE = "ProductOffering"
SEQ_FIRST = 1_000_000
"""Of the batches that it submits by itself, past those that its bus numbers."""


def offering(entity_id: str, **attributes: Any) -> bytes:
    """A public offering as its origin would serve it."""
    body = {"@type": TYPE, "id": entity_id, "name": "an offering", "lifecycleStatus": "Launched"}
    return canonical_json({**body, **attributes})


class HostileMember:
    """Somebody with the keys of a member.

    Args:
        member: The member whose keys and endpoint it has; it must not run.
        through: A running member, whose engine takes its transactions.
    """

    def __init__(self, member: RunningMember, through: RunningMember) -> None:
        card = msgspec.json.decode((member.folder / CARD).read_bytes(), type=MemberCard)
        self.did = card.member.did
        self.endpoint = card.member.endpoint
        self.key = SigningKey.load(member.folder / MEMBER_KEY)
        self.bus = CometBftBus(
            through.folder / LEDGER / RPC_SOCKET, through.folder / LEDGER_STATE, CLOCK, Limits()
        )
        self.bodies: dict[str, bytes] = {}
        """What is served, by ledger key."""
        self.requested_keys: list[str] = []
        """Ledger keys that others requested, in that order."""
        self.is_endless = False
        """Whether answers begin and never end."""
        self.is_silent = False
        """Whether answers never begin."""
        self.instead: tuple[int, dict[str, str], bytes] | None = None
        """Status, headers and body of every answer; None: the entities."""
        self._port = member.port
        self._seq = SEQ_FIRST
        self._runner: web.AppRunner | None = None
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Listen at the member's endpoint."""
        application = web.Application()
        application.router.add_post("/league/v1/entities", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port, reuse_address=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        self._ended.set()
        await self.bus.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # -- what it signs --------------------------------------------------------------------------------------------

    def describe(self, entity_id: str, body: bytes, **overrides: Any) -> LifecycleEvent:
        """The event of a first version; some fields otherwise."""
        now = CLOCK.now()
        fields: dict[str, Any] = {
            "id": "",
            "type": event_name(TYPE, CREATE),
            "time": event_time(now),
            "issuer": self.did,
            "entity": EntityVersion(entity_key(self.did, entity_id), TYPE, 1),
            "hashlink": hashlink(body),
            "metadata": Metadata(lifecycleStatus="Launched"),
        }
        event = LifecycleEvent(**(fields | overrides))
        return event if event.id else identified(event)

    def next_seq(self) -> int:
        """A number for a batch, greater than all before."""
        self._seq += 1
        return self._seq

    def sign(
        self,
        contents: Sequence[bytes],
        *,
        seq: int | None = None,
        issuer: str | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """The JWS of a batch: with its own key, DID and next number unless others are passed."""
        signer = BatchSigner(key or self.key, issuer or self.did, CLOCK)
        return signer.sign(contents, self.next_seq() if seq is None else seq)

    def transaction(self, *events: LifecycleEvent, **options: Any) -> bytes:
        """A transaction with these events; options as of `sign`."""
        contents = [encode_event(event) for event in events]
        return encode_events(self.sign(contents, **options), contents)

    def signing_as(self, kid: str) -> SigningKey:
        """Its own key under the name of another."""
        return SigningKey(self.key._key, kid)

    async def announce(self, entity_id: str, body: bytes, **overrides: Any) -> LifecycleEvent:
        """Publish the event of a first version."""
        event = self.describe(entity_id, body, **overrides)
        await self.bus.publish([encode_event(event)], BatchSigner(self.key, self.did, CLOCK))
        return event

    async def submit(self, transaction: bytes) -> Mapping[str, Any]:
        """What the engine answers to a transaction that no code of ours has looked at before.

        Result, or error.
        """
        params = {"tx": base64.b64encode(transaction).decode()}
        call = {"jsonrpc": "2.0", "id": 0, "method": "broadcast_tx_sync", "params": params}
        sent = io.BytesIO(msgspec.json.encode(call))
        headers = {"Content-Type": "application/json"}
        async with self.bus._open().post("http://engine/", data=sent, headers=headers) as answer:
            answered = await answer.json(content_type=None)
        assert isinstance(answered, dict)
        return answered.get("result") or {"error": answered["error"]}

    # -- what it serves -------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        keys = [one["key"] for one in msgspec.json.decode(await request.read())["entities"]]
        self.requested_keys += keys
        if self.is_silent:
            await self._ended.wait()
        if self.instead is not None:
            status, headers, body = self.instead
            return web.Response(status=status, headers=headers, body=body)
        if self.is_endless:
            return await self._endless(request)
        lines = [
            encode_line(key, "found", self.bodies[key]) if key in self.bodies else encode_line(key, "unknown")
            for key in keys
        ]
        body = b"".join(lines)
        return web.Response(body=body, headers=self._signature(request, body))

    def _signature(self, request: web.Request, body: bytes) -> dict[str, str]:
        """Headers that sign an answer to the member that asks."""
        token = request.headers.get(MEMBER_TOKEN_HEADER, "")
        if not token:
            return {}
        payload = token.split(".")[1]
        asking = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
        signer = MemberAnswerSigner(self.key, self.did, CLOCK)
        return signer.headers(asking, token, 200, hashlib.sha256(body).digest())

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self._ended.is_set():
            await answer.write(ENDLESS_CHUNK)
        return answer


def evidence_of(status: Any, issuer: str) -> set[tuple[str, str]]:
    """(ledger key, code) of what a member has against another, by its status."""
    return {(one["key"], one["code"]) for one in status["evidence_newest"] if one["issuer"] == issuer}
