"""A league in memory whose validators sign every state, and members of it that light members follow.

Each `ScriptedMember` answers over HTTP as a member does, from the league as it was at some height; a *lie*
changes its answers.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.signal import Signal
from hansa.pubsub.engine import EngineKey, GenesisValidator, genesis_document
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.history.segment import HistoryBatch, compressed, decode_segment, decompressed
from hansa.pubsub.ledger.history.segment import encode_segment as encoded_segment
from hansa.pubsub.ledger.reading import LedgerFile
from hansa.pubsub.ledger.reading.parts import StateParts, encode_parts, read_tags, section_tag
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder
from hansa.pubsub.ledger.snapshots.taking import take_snapshot
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import EventFilter
from hansa.pubsub.light.captured import BlockRetention, CapturedBlocks
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.forms import LIGHT_BLOCK, light_block_fields
from hansa.pubsub.light.chain.rpc_form import write_commit, write_validators
from hansa.pubsub.light.chain.validators import LightValidator
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light_member.following import FollowedMembers, LightFollower
from hansa.pubsub.light_member.trust import ChainTrust, PinnedBlock
from hansa.pubsub.memory import MemoryLedger
from tests.contract.origins import NOW, Origin
from tests.support.light_chain import CHAIN_ID, Signer, light_block

FOREVER_S = 1e10
MEMBERS = ("lubeck", "bergen", "riga", "bruges")
LATER = NOW + timedelta(seconds=60)
"""After the blocks, and longer after the genesis."""
BLOCKS_NS = int((NOW + timedelta(seconds=50)).timestamp()) * 10**9


class JumpingClock(ManualClock):
    """Whoever waits moves it."""

    async def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self._elapsed_s += max(0.0, seconds)
        await asyncio.sleep(0)


class OwnSigner(Signer):
    """The validator of an origin."""

    def __init__(self, name: str, power: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.validator = LightValidator(self._key.public_key().public_bytes_raw(), power)


class View(NamedTuple):
    """The league as a member has it at some height."""

    height: int
    parts: StateParts
    events: int


class FollowedLeague:
    """Four origins, a ledger, and validators who sign one block more than it has."""

    def __init__(self) -> None:
        self.origins = [Origin(name) for name in MEMBERS]
        self.lubeck, self.bergen = self.origins[:2]
        members = tuple(one.member for one in self.origins)
        self.clock = ManualClock(NOW)
        self.ledger = MemoryLedger(members, self.clock, params=LedgerParams())
        keys = [EngineKey.from_seed(hashlib.sha256(name.encode()).digest()) for name in MEMBERS]
        self.genesis = genesis_document(
            CHAIN_ID,
            NOW,
            [GenesisValidator(name, key.public, 1) for name, key in zip(MEMBERS, keys, strict=True)],
            msgspec.to_builtins(AppState(members, LedgerParams())),
        )
        self.trusted, _ = read_trusted_genesis(self.genesis)
        signers = {one.validator.address: one for one in (OwnSigner(name, 1) for name in MEMBERS)}
        self.signers: list[Signer] = [signers[one.address] for one in self.trusted.validators.validators]
        self.blocks: dict[int, LightBlock] = {}
        self.views: dict[int, View] = {}
        self.snapshots: SnapshotFolder | None = None
        self._sign()

    @property
    def head(self) -> Any:
        """Of the ledger."""
        return self.ledger.application.state.head

    @property
    def app_hashes(self) -> set[bytes]:
        """All that were signed."""
        return {one.header.app_hash for one in self.blocks.values()}

    def commit(self, origin: Origin, *contents: bytes) -> None:
        """One batch in one block, and the block that signs the state."""
        self.submit(origin.batch(*contents))

    def submit(self, transaction: bytes) -> None:
        """One transaction in one block, and the block that signs the state."""
        self.ledger.submit(transaction)
        self._sign()

    def grow(self, blocks: int, events: int = 2) -> None:
        """Blocks of two origins."""
        for number in range(blocks):
            origin = self.origins[number % 2]
            self.commit(origin, *origin.events(events))

    def skip(self, heights: int = 1) -> None:
        """Blocks without transactions."""
        for _ in range(heights):
            self.ledger.application.finalize_block(Block(self.head.height + 1, self.head.time_ms + 1, ()))
            self.ledger.application.commit()
            self._sign()

    @property
    def snapshot_heights(self) -> tuple[int, ...]:
        """Of the snapshots that all members have."""
        return () if self.snapshots is None else tuple(one.manifest.height for one in self.snapshots.list())

    def take_snapshot(self, folder: Path) -> None:
        """Have all members take one."""
        self.snapshots = self.snapshots or SnapshotFolder(folder)
        take_snapshot(self.ledger.application.state.connection, self.snapshots, CHAIN_ID, lambda: None)

    def _sign(self) -> None:
        head = self.head
        height = head.height + 1
        self.blocks[height] = block_of(height, self.signers, app_hash=head.app_hash)
        self.views[head.height] = View(
            head.height, self.ledger.reader.state_parts(frozenset()), head.tree.size
        )

    def forked_block(
        self, height: int, app_hash: bytes, signers: Sequence[Signer] | None = None
    ) -> LightBlock:
        """Another block of a height, signed by whom it may be."""
        return block_of(height, self.signers, signers, app_hash)


def block_of(
    height: int,
    validators: Sequence[Signer],
    signers: Sequence[Signer] | None = None,
    app_hash: bytes | None = None,
) -> LightBlock:
    """A block of a height, at its time."""
    return light_block(height, validators, signers, app_hash=app_hash, time_ns=BLOCKS_NS + height * 1000)


Lie = Callable[["ScriptedMember", HttpRequest, HttpResponse], HttpResponse]


class ScriptedMember:
    """One member, as it answers."""

    def __init__(self, league: FollowedLeague, origin: Origin) -> None:
        self.league = league
        self.origin = origin
        self.endpoint = origin.endpoint
        self.lie: Lie | None = None
        self.is_away = False
        self.stays_at: int | None = None
        """Height of the view that it answers from; None for the newest."""
        self.withholds_submissions = False
        self.verdict: dict[str, Any] | None = None
        """What it says about every transaction, whatever comes of it."""
        self.submitted: list[bytes] = []
        self.requests = 0

    @property
    def view(self) -> View:
        """What it has of the league."""
        return self.league.views[max(self.league.views) if self.stays_at is None else self.stays_at]

    @property
    def newest(self) -> LightBlock:
        """Its newest block."""
        return self.league.blocks[self.view.height + 1]

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Its answer to a request."""
        self.requests += 1
        if self.is_away:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "It is away.")
        response = self._honest(request)
        return response if self.lie is None else self.lie(self, request, response)

    def _honest(self, request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path.removeprefix("/league/v1/"):
            case "light/commit" | "light/validators" as path:
                return self.light(path, query)
            case "light/blocks":
                after = int(query["after"])
                later = [one for height, one in sorted(self.league.blocks.items()) if height > after]
                lines = [LIGHT_BLOCK.write(light_block_fields(one)) + b"\n" for one in later[:1]]
                return HttpResponse(200, {}, b"".join(lines))
            case "ledger/state":
                return HttpResponse(200, {}, encode_parts(self.parts(read_tags(query["known"]))))
            case "ledger/batches":
                return HttpResponse(200, {}, self.batches(int(query["after"])))
            case "snapshots":
                return HttpResponse(200, {}, msgspec.json.encode({"heights": self.league.snapshot_heights}))
            case path if path.startswith("snapshots/"):
                return self._snapshot(*path.split("/")[1:])
            case "ledger/transactions":
                return HttpResponse(200, {}, msgspec.json.encode(self._take(request.body)))
        return HttpResponse(404, {}, b"{}")

    def light(self, path: str, query: Mapping[str, str], block: LightBlock | None = None) -> HttpResponse:
        """A light block's part, as CometBFT gives it."""
        height = int(query.get("height", self.newest.height))
        if block is None:
            block = self.league.blocks.get(height) if height <= self.newest.height else None
        if block is None:
            error = {"code": -32603, "message": "Internal error", "data": "There is none."}
            return HttpResponse(404, {}, msgspec.json.encode({"error": error}))
        is_commit = path.endswith("commit")
        result = (
            write_commit(block) if is_commit else write_validators(block.height, block.validators, 1, 100)
        )
        return HttpResponse(200, {}, msgspec.json.encode({"jsonrpc": "2.0", "id": -1, "result": result}))

    def parts(self, known: frozenset[str]) -> StateParts:
        """Its state."""
        return without_known(self.view.parts, known)

    def batches(self, after: int) -> bytes:
        """Its next batches."""
        raw = self.league.ledger.reader.batches_after(after)
        batches = [one for one in decode_segment(decompressed(raw)) if one.first_position <= self.view.events]
        return compressed(encoded_segment(batches))

    def _snapshot(self, height: str, index: str = "") -> HttpResponse:
        """A manifest, or a chunk."""
        stored = self.league.snapshots.find(int(height)) if self.league.snapshots is not None else None
        content = None if stored is None else stored.chunk(int(index)) if index else stored.raw
        return HttpResponse(404, {}, b"{}") if content is None else HttpResponse(200, {}, content)

    def _take(self, transaction: bytes) -> dict[str, Any]:
        self.submitted.append(transaction)
        if self.verdict is not None:
            return self.verdict
        if self.withholds_submissions:
            return {"outcome": "waits"}
        try:
            self.league.submit(transaction)
        except HansaError as error:
            return {"outcome": "refused", "code": str(error.code)}
        return {"outcome": "waits"}


def without_known(parts: StateParts, known: frozenset[str]) -> StateParts:
    """The parts without the records of sections that are known."""
    return msgspec.structs.replace(
        parts,
        sections=tuple(
            msgspec.structs.replace(one, records=None) if section_tag(one.name, one.content) in known else one
            for one in parts.sections
        ),
    )


class ScriptedMembers:
    """The `HttpClient` that reaches them."""

    def __init__(self, members: Sequence[ScriptedMember]) -> None:
        self._by_endpoint = {one.endpoint: one for one in members}

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpClient`."""
        await asyncio.sleep(0)
        parts = urlsplit(request.url)
        response = self._by_endpoint[f"{parts.scheme}://{parts.netloc}"].answer(request)
        if len(response.body) > request.answer_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The answer is larger than any may be.")
        return response


class FollowingMember:
    """A light member that follows some of them.

    Args:
        league: Theirs.
        members: Whom it follows.
        folder: For its files.
        pinned: What its operator has compared.
        trust_period_s: How long a block is trusted.
    """

    def __init__(
        self,
        league: FollowedLeague,
        members: Sequence[ScriptedMember],
        folder: Path,
        pinned: PinnedBlock | None = None,
        trust_period_s: float = FOREVER_S,
        clock: ManualClock | None = None,
    ) -> None:
        self.league = league
        self.clock = clock or JumpingClock(LATER)
        self.state_file = folder / "state.db"
        self.history = folder / "history"
        self.retained = BlockRetention(CapturedBlocks(folder / "light.db"), self.clock, 100_000)
        self.trust = ChainTrust(league.trusted, pinned, self.retained, self.clock, trust_period_s)
        self.signal = Signal(self.clock)
        self.sources = FollowedMembers(
            lambda: [one.endpoint for one in members], ScriptedMembers(members), self.clock, CHAIN_ID
        )
        self.follower = LightFollower(
            *(self.state_file, league.genesis, self.sources, self.trust, self.signal, self.clock),
            self.history,
        )

    async def rounds(self, count: int, pause_s: float = 1.0) -> None:
        """So many rounds, with pauses."""
        await self.follower.open()
        for _ in range(count):
            await self.follower.look()
            await self.clock.sleep(pause_s)

    def behavior(self, member: ScriptedMember) -> str:
        """What is known of a member that it follows."""
        statuses = {one.endpoint: one for one in self.follower.status.sources}
        return statuses[member.endpoint].behavior

    async def close(self) -> None:
        """Close its files."""
        await self.follower.close()
        self.retained.close()


MakeFollowing = Callable[..., FollowingMember]
"""Of a league and members that a test has; with further arguments of `FollowingMember`."""


def state_of(member: FollowingMember) -> tuple[bytes, int, list[bytes]]:
    """Application hash, number of events, and the events of what was written."""
    file = LedgerFile(member.state_file, lambda: None)
    try:
        with file.reader() as reader:
            head = reader.head()
            page = reader.events(0, EventFilter())
            return bytes.fromhex(head.app_hash), head.position, [one.content for one in page.events]
    finally:
        file.close()


def changed_batches(change: Callable[[list[HistoryBatch]], list[HistoryBatch]]) -> Lie:
    """A lie about batches."""

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        if "/ledger/batches" not in request.url:
            return honest
        batches = decode_segment(decompressed(honest.body))
        if batches:
            batches = change(batches)
        return HttpResponse(200, {}, compressed(encoded_segment(batches)))

    return lie


def changed_parts(change: Callable[[ScriptedMember, StateParts], StateParts]) -> Lie:
    """A lie about the state."""

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        if "/ledger/state" not in request.url:
            return honest
        return HttpResponse(200, {}, encode_parts(change(member, member.parts(frozenset()))))

    return lie
