"""Another member's answers to calls of light clients, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import msgspec

from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.rpc_form import write_commit, write_validators


class AnsweringMember:
    """Answers with light blocks by height."""

    def __init__(self, block: Callable[[int], LightBlock]) -> None:
        self.block = block
        self.is_away = False
        self.requests = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpClient`."""
        self.requests += 1
        if self.is_away:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "It is away.")
        parts = urlsplit(request.url)
        height = int(parse_qs(parts.query)["height"][0])
        block = self.block(height)
        is_commit = parts.path.endswith("/commit")
        result = write_commit(block) if is_commit else write_validators(height, block.validators, 1, 100)
        return HttpResponse(200, {}, msgspec.json.encode({"jsonrpc": "2.0", "id": -1, "result": result}))
