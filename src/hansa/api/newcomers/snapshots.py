"""Snapshots of the ledger's state, for light members; engines get them from their peers.

    GET /league/v1/snapshots                    the heights, newest first
    GET /league/v1/snapshots/{height}           a manifest (`hansa.pubsub.ledger.snapshots.manifest`)
    GET /league/v1/snapshots/{height}/{index}   a chunk

All are for everybody, and nobody has to trust them: what is made of a snapshot and of what came after it has
the `app_hash` that the validators signed, or it is of no use.
"""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.newcomers.history import OCTETS
from hansa.api.parameters import POSITION_MAX, Parameters, whole_number
from hansa.api.responses import JSON, json_response
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.pubsub.ledger.snapshots.manifest import CHUNKS_MAX
from hansa.pubsub.light_member.wire import SnapshotHeights


class SnapshotReads(Protocol):
    """What the handlers read of. Each raises `Unavailable` when too many wait."""

    async def heights(self) -> tuple[int, ...]:
        """Of the snapshots, newest first."""

    async def manifest(self, height: int) -> bytes:
        """Of the snapshot of a height. Raises `Refused`, `Code.NOT_FOUND`."""

    async def chunk(self, height: int, index: int) -> bytes:
        """Of the snapshot of a height. Raises `Refused`, `Code.NOT_FOUND`."""


class NoSnapshots:
    """Of a member without a ledger application."""

    async def heights(self) -> tuple[int, ...]:
        """None."""
        return ()

    async def manifest(self, height: int) -> bytes:
        """None."""
        raise Refused(Code.NOT_FOUND, f"There is no snapshot of height {height:,} here.")

    async def chunk(self, height: int, index: int) -> bytes:
        """None."""
        del index
        return await self.manifest(height)


class SnapshotsApi:
    """Serves snapshots."""

    def __init__(self, reads: SnapshotReads, limits: Limits) -> None:
        self._reads = reads
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/snapshots`."""
        Parameters(request, (), self._limits)
        return json_response(SnapshotHeights(await self._reads.heights()))

    async def manifest(self, request: Request) -> Response:
        """`GET /league/v1/snapshots/{height}`."""
        Parameters(request, (), self._limits)
        return Response(await self._reads.manifest(_height(request)), media_type=JSON)

    async def chunk(self, request: Request) -> Response:
        """`GET /league/v1/snapshots/{height}/{index}`."""
        Parameters(request, (), self._limits)
        index = whole_number("index", request.path_params["index"], 0, 0, CHUNKS_MAX)
        return Response(await self._reads.chunk(_height(request), index), media_type=OCTETS)


def _height(request: Request) -> int:
    return whole_number("height", request.path_params["height"], 1, 1, POSITION_MAX)
