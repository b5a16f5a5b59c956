"""Who is kept out, for operators: `GET` and `POST /oidc/removed`.

A subject, an organisation or a credential that is removed is out at once, with the sessions and tokens that
it has, and comes in no more until it is let in again.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.api.bodies import json_body
from hansa.api.callers import require_operator
from hansa.api.responses import json_response
from hansa.core.access import Authenticate
from hansa.core.bounded_json import read_object
from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE
from hansa.core.limits import Limits
from hansa.identity.endings import Endings
from hansa.store.tables.logins.endings import PartyKind

REMOVED_PATH: Final = "/oidc/removed"
BODY_MAX_BYTES: Final = 4096
NAME_MAX_CHARS: Final = 512

_LIMITS: Final = Limits(body_depth_max=2, body_nodes_max=16)


class EndsSessions(Protocol):
    """Ends the sessions of somebody."""

    async def end_all_of(self, subject: str, /) -> int:
        """End all sessions of a subject; how many there were."""


class PartyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator wants."""

    kind: PartyKind
    name: str
    readmit: bool = False
    """Whether it is let in again."""


class RemovalRoutes:
    """The handlers.

    Args:
        endings: Has who was removed.
        sessions: Of browsers.
        authenticate: Finds out who calls.
    """

    def __init__(self, endings: Endings, sessions: EndsSessions, authenticate: Authenticate) -> None:
        self._endings = endings
        self._sessions = sessions
        self._authenticate = authenticate

    def routes(self) -> list[BaseRoute]:
        """Both."""
        return [
            Route(REMOVED_PATH, self.removed, methods=["GET"]),
            Route(REMOVED_PATH, self.change, methods=["POST"]),
        ]

    async def removed(self, request: Request) -> Response:
        """`GET /oidc/removed`.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
        """
        require_operator(self._authenticate, request)
        return json_response({"removed": self._endings.parties}, headers=NO_STORE)

    async def change(self, request: Request) -> Response:
        """`POST /oidc/removed`: remove a party, or let it in again.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`, `Code.INVALID` or another one about the body;
                `Code.NOT_FOUND`, when a party is to be let in that was not removed.
            Unavailable: `Code.OVERLOADED`, or of the store.
        """
        require_operator(self._authenticate, request)
        party_request = _read(await json_body(request, BODY_MAX_BYTES))
        if party_request.readmit:
            if not await self._endings.readmit(party_request.kind, party_request.name):
                raise Refused(Code.NOT_FOUND, "No such party was removed.")
            return json_response({"readmitted": party_request.name}, headers=NO_STORE)
        party = await self._endings.remove(party_request.kind, party_request.name)
        ended = await self._sessions.end_all_of(party_request.name) if party_request.kind == "subject" else 0
        return json_response({"removed": party, "sessions_ended": ended}, headers=NO_STORE)


def _read(body: bytes) -> PartyRequest:
    content: dict[str, Any] = read_object(body, _LIMITS)
    try:
        party_request = msgspec.convert(content, PartyRequest)
    except msgspec.ValidationError as error:
        raise Refused(
            Code.INVALID, "A party has a kind (subject, organization, credential) and a name."
        ) from error
    if not 0 < len(party_request.name) <= NAME_MAX_CHARS or not party_request.name.isprintable():
        raise Refused(Code.INVALID, f"A name has 1 to {NAME_MAX_CHARS} printable characters.")
    return party_request
