"""`GET /league/v1/references`: references to entities that are not here.

    {"references": [{"type": …, "id": …, "origin": <DID, of a replica>, "path": …, "target": …, "targets": […]}, …]}

`state=unresolved` has to be said, `limit` bounds the answer. It needs a token, since entities of private types are
among those that refer.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.parameters import Parameters
from hansa.business.rules import DanglingReference, Rules
from hansa.core.access import Authenticate
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Store

PATH: Final = "/league/v1/references"
STATE: Final = "unresolved"
LIMIT_MAX: Final = 999_999_999
"""What may be asked for; an answer has `list_limit_max` at most."""


class UnresolvedReferences(msgspec.Struct, frozen=True):
    """The answer."""

    references: tuple[DanglingReference, ...]


def reference_routes(
    store: Store, rules: Rules, authenticate: Authenticate, clock: Clock, limits: Limits
) -> list[Route]:
    """The routes of this module."""

    async def references(request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.raw}
        if not authenticate(headers).is_authenticated:
            raise Refused(Code.UNAUTHENTICATED, "Who refers to whom is private: send a bearer token.")
        asked = Parameters(request, {"state", "limit"}, limits)
        if asked.text("state") != STATE:
            raise Refused(Code.INVALID, f"state has to be {STATE}.")
        size = min(asked.number("limit", limits.list_limit_default, 1, LIMIT_MAX), limits.list_limit_max)
        found = UnresolvedReferences(await rules.dangling_references(store, clock, size))
        return Response(msgspec.json.encode(found), media_type="application/json")

    return [Route(PATH, references, methods=["GET"])]
