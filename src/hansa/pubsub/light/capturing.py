"""Capturing: light blocks are taken from this member's own engine before it forgets them.

After each block, at most every `PAUSE_S`, the headers since the last look are read, up to twenty with one
call; of the heights that are retained (`hansa.pubsub.light.captured`) the commits are read, ten with one
call, and the validators of a set that is not known yet. All of it becomes one transaction with the progress,
so a crash at any instant repeats at most one look. The ledger application lets the engine forget no block
that has not been looked at (`retain_height`).

Whoever makes a proof about the newest block waits for its header: `wait_for` looks at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog

from hansa.core.backoff import Backoff
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.pubsub.light.captured import BlockRetention, CapturedBlocks, Gap, Progress
from hansa.pubsub.light.chain.blocks import LightBlock, verified_signers, without_invalid_votes
from hansa.pubsub.light.chain.header import Header
from hansa.pubsub.light.chain.rpc_form import light_block, read_commit, read_header, read_validators, total_of
from hansa.pubsub.light.chain.validators import ValidatorSet

PAUSE_S: Final = 1.0
"""Between two looks: under load a look is at many blocks, and takes little of the time of each."""
HEADERS_PER_CALL: Final = 20
"""The engine's own bound of `blockchain`."""
CALLS_PER_REQUEST: Final = 10
"""The engine's own bound of a batch."""
VALIDATORS_PER_PAGE: Final = 100
BACKOFF_MAX_S: Final = 10.0

T = TypeVar("T")
Call = tuple[str, Mapping[str, Any]]
"""A method of the engine's RPC, and its parameters."""

log = structlog.get_logger("hansa.pubsub")


class EngineCalls(Protocol):
    """The engine's RPC."""

    async def engine_results(self, calls: Sequence[Call]) -> list[bytes]:
        """The results of some calls, as JSON, in their order.

        Raises:
            Unavailable: the engine does not answer.
            Refused: `Code.NOT_FOUND`, with its message: it has no answer to one of them.
        """

    @property
    def notifications(self) -> int:
        """How many notifications of blocks there were."""

    async def wait_for_block(self, seen: int, timeout_s: float | None) -> None:
        """Wait for a notification of a block after those that were seen."""


class _Meta(msgspec.Struct, frozen=True):
    header: msgspec.Raw
    num_txs: str


class _Chain(msgspec.Struct, frozen=True):
    last_height: str
    block_metas: list[_Meta]


class _SyncInfo(msgspec.Struct, frozen=True):
    latest_block_height: str
    earliest_block_height: str


class _Status(msgspec.Struct, frozen=True):
    sync_info: _SyncInfo


class Capture(BlockRetention):
    """Retains light blocks. Used on one event loop, and closed.

    Args:
        engine: This member's own.
        blocks: The file.
        clock: For pauses.
        blocks_max: How many light blocks are retained; beyond it the oldest are thinned out.
    """

    def __init__(self, engine: EngineCalls, blocks: CapturedBlocks, clock: Clock, blocks_max: int) -> None:
        super().__init__(blocks, clock, blocks_max)
        self._engine = engine
        self._looking = asyncio.Lock()
        self._sets: dict[bytes, ValidatorSet] = {}
        self.problem: str | None = None
        """Why light blocks are not captured now."""

    async def run(self) -> None:
        """Capture, until cancelled."""
        pauses = Backoff(PAUSE_S, BACKOFF_MAX_S)
        while True:
            seen = self._engine.notifications
            try:
                await self.look()
                self.problem = None
                pauses.reset()
            except HansaError as error:
                if self.problem != error.message:
                    log.warning("light_blocks_not_captured", code=error.code, reason=error.message)
                self.problem = error.message
                await self._clock.sleep(pauses.next_s())
                continue
            await self._clock.sleep(PAUSE_S)
            await self._engine.wait_for_block(seen, BACKOFF_MAX_S)

    async def look(self) -> None:
        """Retain what the engine has that was not looked at yet.

        Raises:
            Unavailable: the engine does not answer.
            Refused: its answers contradict each other.
            Fatal: the file cannot be written.
        """
        async with self._looking:
            while await self._look():
                pass

    async def signing(self, app_hash: bytes) -> LightBlock | None:
        """The light block whose header has an application hash; looked for at once when it is not here."""
        block = await super().signing(app_hash)
        if block is None:
            await self.look()
            block = await super().signing(app_hash)
        return block

    async def light_block(self, height: int) -> LightBlock:
        """The light block of a height: what is retained, or what the engine still has.

        Raises:
            Refused: `Code.NOT_FOUND`, or the engine contradicts itself.
            Unavailable: the engine does not answer.
        """
        block = await self.read(lambda blocks: blocks.block(height))
        if block is not None:
            return block
        commit = await self._one("commit", {"height": str(height)})
        header = read_commit(commit)[0]
        return _checked(light_block(commit, await self._validators(header)))

    async def _look(self) -> bool:
        """Look at the next heights; whether there may be more."""
        progress = await self.read(CapturedBlocks.progress)
        status = _decoded(await self._one("status", {}), _Status).sync_info
        last, earliest = int(status.latest_block_height), int(status.earliest_block_height)
        first, gap = progress.height + 1, None
        if last < first:
            return False
        if earliest > first:
            gap, first, progress = Gap(first, earliest - 1), earliest, Progress()
        end = min(last, first + HEADERS_PER_CALL - 1)
        chain = _decoded(
            await self._one("blockchain", {"minHeight": str(first), "maxHeight": str(end)}), _Chain
        )
        metas = [(read_header(bytes(one.header)), int(one.num_txs)) for one in reversed(chain.block_metas)]
        if [header.height for header, _ in metas] != list(range(first, end + 1)):
            raise Unavailable(Code.UNAVAILABLE, "The engine's blocks are being removed.")
        retained = [
            header
            for header, previous, txs in _with_previous(metas, progress)
            if _is_retained(header, previous, txs)
        ]
        blocks = await self._light_blocks(retained)
        newest = metas[-1][0]
        reached = Progress(newest.height, newest.app_hash, newest.validators_hash)
        await self.retain(blocks, reached, gap)
        return end < last

    async def _light_blocks(self, headers: Sequence[Header]) -> list[LightBlock]:
        commits: list[bytes] = []
        for start in range(0, len(headers), CALLS_PER_REQUEST):
            part = headers[start : start + CALLS_PER_REQUEST]
            commits += await self._engine.engine_results(
                [("commit", {"height": str(one.height)}) for one in part]
            )
        blocks: list[LightBlock] = []
        for header, commit in zip(headers, commits, strict=True):
            block = light_block(commit, await self._validators(header))
            if block.header != header:
                raise Unavailable(Code.UNAVAILABLE, "The engine has another block of this height by now.")
            blocks.append(_checked(block))
        return blocks

    async def _validators(self, header: Header) -> ValidatorSet:
        known = self._sets.get(header.validators_hash)
        if known is not None:
            return known
        parameters = {"height": str(header.height), "per_page": str(VALIDATORS_PER_PAGE)}
        pages = [await self._one("validators", {**parameters, "page": "1"})]
        further = range(2, 1 + -(-total_of(pages[0]) // VALIDATORS_PER_PAGE))
        pages += [await self._one("validators", {**parameters, "page": str(page)}) for page in further]
        validators = read_validators(pages)
        if validators.hash != header.validators_hash:
            raise Refused(Code.PROOF_INVALID, "The engine's validators are not those of its header.")
        self._sets = {header.validators_hash: validators}
        return validators

    async def _one(self, method: str, parameters: Mapping[str, Any]) -> bytes:
        return (await self._engine.engine_results([(method, parameters)]))[0]


def _checked(block: LightBlock) -> LightBlock:
    """The same without votes that do not verify here; nothing that others would refuse is retained."""
    try:
        verified_signers(block)
    except Refused:
        block = without_invalid_votes(block)
        verified_signers(block)
    return block


def _with_previous(
    metas: Sequence[tuple[Header, int]], progress: Progress
) -> list[tuple[Header, Progress, int]]:
    rows: list[tuple[Header, Progress, int]] = []
    for header, transactions in metas:
        rows.append((header, progress, transactions))
        progress = Progress(header.height, header.app_hash, header.validators_hash)
    return rows


def _is_retained(header: Header, previous: Progress, transactions: int) -> bool:
    return (
        transactions > 0
        or header.height == 1
        or header.app_hash != previous.app_hash
        or header.validators_hash != previous.validators_hash
        or header.next_validators_hash != header.validators_hash
    )


def _decoded(raw: bytes, type: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=type)
    except UNREADABLE as error:
        raise Unavailable(Code.UNAVAILABLE, "The engine's answer is not of the expected form.") from error
