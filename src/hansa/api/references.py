"""`GET /league/v1/references`: references to entities that are not here.

    {"references": [
        {"type": …, "id": …, "origin": <DID, of a replica>, "path": …, "target": …, "targets": […]}, …
    ]}

`state=unresolved` is required, `limit` bounds the page. It needs a token, since entities of private types are
among those that refer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.callers import require_token
from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.business.rules import DanglingReference
from hansa.core.access import Authenticate
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

STATE: Final = "unresolved"

DanglingReferences = Callable[[int], Awaitable[tuple[DanglingReference, ...]]]
"""The references to entities that are not here, so many at most."""


class UnresolvedReferences(msgspec.Struct, frozen=True):
    """The body of the response."""

    references: tuple[DanglingReference, ...]


class ReferencesApi:
    """Serves dangling references to clients with a token."""

    def __init__(
        self, dangling_references: DanglingReferences, authenticate: Authenticate, limits: Limits
    ) -> None:
        self._dangling_references = dangling_references
        self._authenticate = authenticate
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/references?state=unresolved`."""
        require_token(self._authenticate, request)
        parameters = Parameters(request, {"state", "limit"}, self._limits)
        if parameters.text("state") != STATE:
            raise Refused(Code.INVALID, f"state must be {STATE}.")
        size = parameters.page_size(self._limits.list_limit_default)
        return json_response(UnresolvedReferences(await self._dangling_references(size)))
