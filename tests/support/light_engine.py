"""An engine in memory, as far as light blocks are read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hansa.core.errors import Code, Refused, Unavailable
from hansa.pubsub.light.capturing import Call
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.rpc_form import write_commit, write_validators


class LightEngine:
    """Answers as CometBFT does, from light blocks."""

    def __init__(self, blocks: Sequence[LightBlock], transactions: Mapping[int, int] | None = None) -> None:
        self.blocks = {block.height: block for block in blocks}
        self.transactions = dict(transactions or {})
        self.earliest = 1
        self.is_down = False
        self.calls: list[Call] = []
        self.notifications = 0

    @property
    def newest(self) -> int:
        """Height of the last block."""
        return max(self.blocks, default=0)

    async def engine_results(self, calls: Sequence[Call]) -> list[bytes]:
        """See `EngineCalls`."""
        assert len(calls) <= 10, "the engine takes no larger batch"
        if self.is_down:
            raise Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.")
        self.calls += calls
        return [msgspec.json.encode(self._result(method, params)) for method, params in calls]

    async def wait_for_block(self, seen: int, timeout_s: float | None) -> None:
        """At once."""

    def _result(self, method: str, params: Mapping[str, Any]) -> Any:
        if method == "status":
            info = {"latest_block_height": str(self.newest), "earliest_block_height": str(self.earliest)}
            return {
                "node_info": {"network": "x", "id": "secret", "listen_addr": "10.0.0.1"},
                "sync_info": info,
            }
        if method == "blockchain":
            return self._chain(int(params["minHeight"]), int(params["maxHeight"]))
        height = int(params.get("height", self.newest))
        if height > self.newest:
            raise Refused(
                Code.NOT_FOUND,
                f"height {height} must be less than or equal to the current blockchain height {self.newest}",
            )
        if height < self.earliest:
            raise Refused(
                Code.NOT_FOUND, f"height {height} is not available, lowest height is {self.earliest}"
            )
        block = self.blocks[height]
        if method == "commit":
            return write_commit(block)
        if method == "consensus_params":
            return {"block_height": str(height), "consensus_params": {}}
        page, per_page = int(params.get("page", 1)), int(params.get("per_page", 30))
        return write_validators(height, block.validators, page, per_page)

    def _chain(self, first: int, last: int) -> Any:
        first = max(first, self.earliest)
        assert last - first < 20, "the engine gives no more"
        metas = [
            {
                "block_id": {},
                "header": write_commit(self.blocks[height])["signed_header"]["header"],
                "num_txs": str(self.transactions.get(height, 0)),
            }
            for height in range(last, first - 1, -1)
        ]
        return {"last_height": str(self.newest), "block_metas": metas}
