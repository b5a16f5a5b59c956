"""The descriptions of what is no TM Forum API, made when somebody first requests them."""

from __future__ import annotations

import msgspec

from hansa import __version__
from hansa.api.descriptions.document import league_document
from hansa.api.descriptions.operations import OPERATIONS
from hansa.api.descriptions.streams import streams_document
from hansa.core.thread_work import MadeOnce
from hansa.node.http.described.operations import OWN_OPERATIONS


class LeagueDescriptions:
    """The documents of one marketplace, each made once, beside the event loop.

    Args:
        endpoint: Its address, without a trailing slash.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._openapi = MadeOnce(self._make_openapi)
        self._asyncapi = MadeOnce(self._make_asyncapi)

    async def openapi(self) -> bytes:
        """The OpenAPI document of `/league/v1`, health and figures."""
        return await self._openapi.value()

    async def asyncapi(self) -> bytes:
        """The AsyncAPI document of the streams."""
        return await self._asyncapi.value()

    def _make_openapi(self) -> bytes:
        operations = (*OPERATIONS, *OWN_OPERATIONS)
        return msgspec.json.encode(league_document(operations, self._endpoint, __version__))

    def _make_asyncapi(self) -> bytes:
        return msgspec.json.encode(streams_document(self._endpoint, __version__))
