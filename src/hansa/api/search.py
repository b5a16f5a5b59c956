"""`GET /search` and `GET /search/suggestions`: the search as JSON.

Everybody may search; who sends a token that may read what is private finds that, too. Where the marketplace
has pages, the first of these paths is also one of them: `page` answers whoever prefers HTML.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.responses import JSON, json_response
from hansa.business.search.answering import Search
from hansa.business.search.request import search_request, suggestions_text
from hansa.core.access import Authenticate, Caller
from hansa.core.http import NO_STORE, headers_of
from hansa.core.limits import Limits

SEARCH_PATH: Final = "/search"
SUGGESTIONS_PATH: Final = "/search/suggestions"
_HTML: Final = "text/html"

Page = Callable[[Request], Awaitable[Response]]


class SearchApi:
    """Serves the search.

    Args:
        search: What answers.
        authenticate: Finds out who calls.
        limits: Of the query.
        page: Answers whoever prefers HTML; None: JSON for everybody.
    """

    def __init__(
        self, search: Search, authenticate: Authenticate, limits: Limits, page: Page | None = None
    ) -> None:
        self._search = search
        self._authenticate = authenticate
        self._limits = limits
        self._page = page

    def routes(self) -> list[Route]:
        """Both."""
        return [Route(SEARCH_PATH, self.search), Route(SUGGESTIONS_PATH, self.suggestions)]

    async def search(self, request: Request) -> Response:
        """`GET /search`.

        Raises:
            Refused: `Code.INVALID`, `Code.MALFORMED`, `Code.URI_TOO_LONG` or `Code.UNAUTHENTICATED`.
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """
        if self._page is not None and prefers_html(request.headers.get("accept", "")):
            return await self._page(request)
        caller = self._caller(request)
        searched = search_request(request.scope["query_string"], self._limits)
        result = await self._search.page(caller, searched, leaving(request))
        return json_response(result, headers=NO_STORE)

    async def suggestions(self, request: Request) -> Response:
        """`GET /search/suggestions`; raises as `search` does."""
        caller = self._caller(request)
        text = suggestions_text(request.scope["query_string"], self._limits)
        result = await self._search.suggestions(caller, text, leaving(request))
        return json_response(result, headers=NO_STORE)

    def _caller(self, request: Request) -> Caller:
        return self._authenticate(headers_of(request.headers.raw))


def prefers_html(accept: str) -> bool:
    """Whether HTML stands before JSON among the media types that a client takes; qualities are not read."""
    types = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    if _HTML not in types:
        return False
    return JSON not in types or types.index(_HTML) < types.index(JSON)


def leaving(request: Request) -> Callable[[], Awaitable[object]]:
    """What waits until the client of a request without a body has left, and raises then."""

    async def left() -> object:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        raise ClientDisconnect

    return left
