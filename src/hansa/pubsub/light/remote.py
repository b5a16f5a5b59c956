"""Light blocks of another member, over HTTP: read within bounds, and not verified yet."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest, HttpResponse
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.forms import LIGHT_BLOCK, read_light_block
from hansa.pubsub.light.chain.rpc_form import light_block, read_commit, read_validators, total_of

LIGHT_PATH: Final = "/league/v1/light"
TIMEOUT_S: Final = 10.0
ANSWER_SIZE_MAX_BYTES: Final = 1_048_576
PER_PAGE: Final = 100


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    data: str = ""


class _Answer(msgspec.Struct, frozen=True):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class RemoteMember:
    """What one member says about the engine's chain.

    Args:
        endpoint: Its origin.
        http: Reaches it.
        chain_id: Of the league, for blocks whose form leaves it out.
        timeout_s: For one answer.
    """

    def __init__(
        self, endpoint: str, http: HttpClient, chain_id: str = "", timeout_s: float = TIMEOUT_S
    ) -> None:
        self.endpoint = endpoint
        self._http = http
        self._chain_id = chain_id
        self._timeout_s = timeout_s

    async def light_block(self, height: int | None = None) -> LightBlock:
        """The light block of a height, or the newest.

        Raises:
            Refused: `Code.PROOF_INVALID`, when it cannot be read; `Code.NOT_FOUND`, when it has none.
            Unavailable: it does not answer.
        """
        commit = await self._result("commit", "" if height is None else f"?height={height}")
        header = read_commit(commit)[0]
        if height is not None and header.height != height:
            raise Refused(Code.PROOF_INVALID, f"{self.endpoint} answers with a block of another height.")
        query = f"?height={header.height}&per_page={PER_PAGE}&page="
        pages = [await self._result("validators", f"{query}1")]
        further = range(2, 1 + -(-total_of(pages[0]) // PER_PAGE))
        pages += [await self._result("validators", f"{query}{page}") for page in further]
        return light_block(commit, read_validators(pages))

    async def light_block_after(self, height: int) -> LightBlock | None:
        """The first light block after a height that the member retains; None when there is none.

        Raises:
            Refused: `Code.PROOF_INVALID`, when it cannot be read.
            Unavailable: it does not answer.
        """
        body = await self.body(f"{LIGHT_PATH}/blocks?after={height}&limit=1")
        line = body.rstrip(b"\n")
        if not line:
            return None
        try:
            return read_light_block(LIGHT_BLOCK.read(line), self._chain_id)
        except Refused as error:
            raise Refused(Code.PROOF_INVALID, f"{self.endpoint} sends a block that is none.") from error

    async def body(
        self, path: str, size_max_bytes: int = ANSWER_SIZE_MAX_BYTES, timeout_s: float | None = None
    ) -> bytes:
        """What it answers at a path.

        Args:
            path: With its query.
            size_max_bytes: Of the answer.
            timeout_s: For it; None: that of every answer.

        Raises:
            Refused: it is longer.
            Unavailable: it does not answer.
        """
        response = await self._send(path, size_max_bytes, timeout_s)
        if response.status != 200:
            raise Unavailable(Code.UNAVAILABLE, f"{self.endpoint} answers with status {response.status}.")
        return response.body

    async def _send(self, path: str, size_max_bytes: int, timeout_s: float | None = None) -> HttpResponse:
        url = f"{self.endpoint}{path}"
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        return await self._http.send(
            HttpRequest("GET", url, timeout_s=timeout_s, answer_size_max_bytes=size_max_bytes)
        )

    async def _result(self, method: str, query: str) -> bytes:
        response = await self._send(f"{LIGHT_PATH}/{method}{query}", ANSWER_SIZE_MAX_BYTES)
        try:
            answer = msgspec.json.decode(response.body, type=_Answer)
        except UNREADABLE as error:
            raise Refused(Code.PROOF_INVALID, f"{self.endpoint} does not answer as a member does.") from error
        if answer.error is not None:
            raise Refused(Code.NOT_FOUND, (answer.error.data or answer.error.message)[:200])
        if response.status != 200:
            raise Unavailable(Code.UNAVAILABLE, f"{self.endpoint} answers with status {response.status}.")
        return bytes(answer.result)
