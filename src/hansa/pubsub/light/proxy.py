"""What light clients and state sync request of a member: four methods of its engine's RPC, and no other.

    status              height, hashes and times of the newest and of the oldest block; nothing of the node
    commit              header and commit of a height, or of the newest
    validators          the validators of a height, a page at a time
    consensus_params    the engine's parameters at a height

Parameters are read as CometBFT writes them, as texts or as numbers. What the engine answers about a height
that is decided never changes, so it is cached; what it has forgotten comes from the light blocks that this
member retains. At most `AT_ONCE_MAX` calls of strangers are at the engine, and few wait.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.admission import Admission
from hansa.core.bounded_json import UNREADABLE
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.measured_work import add_work
from hansa.pubsub.light.capturing import VALIDATORS_PER_PAGE, Capture, EngineCalls
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.rpc_form import write_commit, write_validators

AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 64
CACHE_SIZE_MAX_BYTES: Final = 8_388_608
NEWEST_AGE_MAX_S: Final = 0.25
"""How old an answer about the newest block may be."""
HEIGHT_MAX: Final = 2**53 - 1
PAGE_MAX: Final = 100

METHODS: Final[Mapping[str, frozenset[str]]] = {
    "status": frozenset(),
    "commit": frozenset({"height"}),
    "validators": frozenset({"height", "page", "per_page"}),
    "consensus_params": frozenset({"height"}),
}
"""The methods, and the parameters that each has."""

_NUMBER: Final = re.compile(r'"?([1-9][0-9]{0,15})"?', re.ASCII)


class LightCall(msgspec.Struct, frozen=True):
    """A call that is allowed."""

    method: str
    height: int | None = None
    """None for the newest."""
    page: int = 1
    per_page: int = 30
    """As many as CometBFT gives when nothing is said."""


def read_call(method: str, parameters: Mapping[str, Any]) -> LightCall:
    """A call of one of the methods.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no such method here; `Code.INVALID`.
    """
    names = METHODS.get(method)
    if names is None:
        raise Refused(Code.NOT_FOUND, f"There are these methods: {', '.join(METHODS)}.")
    unknown = sorted(set(parameters) - names)
    if unknown:
        raise Refused(Code.INVALID, f"{method} has no parameter {unknown[0][:40]!r}.")
    numbers = {
        name: _number(name, value, HEIGHT_MAX if name == "height" else PAGE_MAX)
        for name, value in parameters.items()
        if value is not None and value not in ("", "null")
    }
    return LightCall(method, **numbers)


def _number(name: str, value: Any, maximum: int) -> int:
    match = _NUMBER.fullmatch(str(value)) if isinstance(value, str | int) else None
    if match is None or int(match[1]) > maximum:
        raise Refused(Code.INVALID, f"{name} is not a whole number from 1 to {maximum}.")
    return int(match[1])


class LightProxy:
    """Answers calls of strangers.

    Args:
        engine: This member's own.
        capture: What is retained of what the engine has forgotten.
        clock: For how old an answer about the newest block may be.
    """

    def __init__(self, engine: EngineCalls, capture: Capture, clock: Clock) -> None:
        self._engine = engine
        self._capture = capture
        self._clock = clock
        self._admission = Admission(AT_ONCE_MAX, WAITING_MAX, "Too many calls are waiting.")
        self._newest: dict[LightCall, tuple[float, bytes]] = {}
        self._newest_height = 0
        self.cache: Cache[LightCall, bytes] = Cache("light_results", CACHE_SIZE_MAX_BYTES, size_of=len)

    async def result(self, call: LightCall) -> bytes:
        """The result of a call, as the engine's JSON.

        Raises:
            Refused: `Code.NOT_FOUND`: the height is not there, or not yet; the engine's own words.
            Unavailable: the engine does not answer, or too many wait.
        """
        known = self.cache.get(call)
        if known is not None:
            return known
        recent = self._newest.get(call)
        if recent is not None and self._clock.monotonic() < recent[0]:
            return recent[1]
        return await self._admission(lambda: self._fetch(call))

    async def _fetch(self, call: LightCall) -> bytes:
        known = self.cache.get(call)
        if known is not None:
            return known
        started_at_s = self._clock.monotonic()
        try:
            if call.height is not None and call.height < self._newest_height:
                result = await self._of_height(call)
                self.cache.put(call, result)
                return result
            result = await self._of_newest(call)
            if len(self._newest) >= WAITING_MAX:
                self._newest.clear()
            self._newest[call] = self._clock.monotonic() + NEWEST_AGE_MAX_S, result
            return result
        finally:
            add_work(self._clock.monotonic() - started_at_s)

    async def _of_newest(self, call: LightCall) -> bytes:
        status = (await self._engine.engine_results([("status", {})]))[0]
        try:
            sync = msgspec.json.decode(status)["sync_info"]
            network = msgspec.json.decode(status)["node_info"]["network"]
            self._newest_height = int(sync["latest_block_height"])
        except (*UNREADABLE, KeyError, TypeError, ValueError) as error:
            raise Unavailable(Code.UNAVAILABLE, "The engine's answer is not of the expected form.") from error
        if call.method == "status":
            return msgspec.json.encode({"node_info": {"network": network}, "sync_info": sync})
        return await self._of_height(call)

    async def _of_height(self, call: LightCall) -> bytes:
        parameters = {} if call.height is None else {"height": str(call.height)}
        if call.method == "validators":
            parameters |= {"page": str(call.page), "per_page": str(call.per_page)}
        try:
            return (await self._engine.engine_results([(call.method, parameters)]))[0]
        except Refused:
            block = None if call.height is None else await self._retained(call.height)
            if block is None or call.method not in {"commit", "validators"}:
                raise
            return _retained_result(call, block)

    async def _retained(self, height: int) -> LightBlock | None:
        return await self._capture.read(lambda blocks: blocks.block(height))


def _retained_result(call: LightCall, block: LightBlock) -> bytes:
    if call.method == "commit":
        return msgspec.json.encode(write_commit(block))
    per_page = min(call.per_page, VALIDATORS_PER_PAGE)
    return msgspec.json.encode(write_validators(block.height, block.validators, call.page, per_page))
