"""What a newcomer needs to begin: the genesis of the league, and how to find this member's engine.

    GET /league/v1/genesis      the genesis, byte for byte as every member has it
    GET /league/v1/bootstrap    its SHA-256, the address of this member's engine, and the snapshots it offers

Both are for everybody: nothing in them is secret, and a newcomer is a stranger. Nobody has to trust them
either: the genesis is compared with that of other members and by its fingerprint, and an engine proves by its
key that it is the one of the address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import JSON, json_response
from hansa.core.limits import Limits

GENESIS_PATH: Final = "/league/v1/genesis"
BOOTSTRAP_PATH: Final = "/league/v1/bootstrap"


class Bootstrap(msgspec.Struct, frozen=True):
    """What a newcomer's engine needs of this member's."""

    chain_id: str = ""
    genesis: str = ""
    """SHA-256 of the genesis, hex."""
    engine: str = ""
    """`<node id>@host:port`; empty when this member has none."""
    snapshots: tuple[int, ...] = ()
    """Heights, newest first."""


class BootstrapSource(msgspec.Struct, frozen=True):
    """What is served: it is the same while a marketplace runs, but for the snapshots."""

    genesis: bytes = b"{}"
    chain_id: str = ""
    engine: str = ""
    snapshots: Callable[[], tuple[int, ...]] = tuple


class BootstrapApi:
    """Serves newcomers."""

    def __init__(self, source: BootstrapSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._digest = hashlib.sha256(source.genesis).hexdigest()

    async def genesis(self, request: Request) -> Response:
        """`GET /league/v1/genesis`."""
        Parameters(request, (), self._limits)
        return Response(self._source.genesis, media_type=JSON)

    async def bootstrap(self, request: Request) -> Response:
        """`GET /league/v1/bootstrap`."""
        Parameters(request, (), self._limits)
        source = self._source
        return json_response(Bootstrap(source.chain_id, self._digest, source.engine, source.snapshots()))
