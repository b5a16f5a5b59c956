"""Pages for strangers that were made a moment ago, and would be the same again.

A page is good while nothing in the store has changed since it was made, and for `AGE_MAX_S`: what it says
of the ledger and of other members is not in the store. It is for one address, language, region and theme.
Whoever is known, by a session or a token, gets a page made for them, and so does whoever requests JSON.

A page is made once for all who request it meanwhile; when whoever it is made for leaves, the next makes it.

In each iteration of the event loop one page is begun (`Pacer`), however many are requested: a page costs as
much as several requests to the API, which would wait for all pages that came with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.access import ANONYMOUS, Caller
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.yielding import Pacer
from hansa.portal.frame import Frame
from hansa.portal.frame.frame import wants_json
from hansa.portal.frame.page_response import PageResponse

AGE_MAX_S: Final = 2.0
PAGES_MAX_BYTES: Final = 16 * 1024 * 1024
PAGE_MAX_BYTES: Final = 256 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class CachedPage(msgspec.Struct, frozen=True):
    """A page that was made."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    version: int
    """Of the store, before the page was made."""
    until_s: float
    """By the clock's monotonic time."""


class PageCache:
    """Answers with pages that are there, and has others made.

    Args:
        frame: Knows who reads.
        caller_of: Finds out who looks.
        version: A number that grows with every change of the store.
        clock: For the age of pages.
    """

    def __init__(
        self,
        frame: Frame,
        caller_of: Callable[[Request], Caller],
        version: Callable[[], Awaitable[int]],
        clock: Clock,
    ) -> None:
        self._frame = frame
        self._caller_of = caller_of
        self._version = version
        self._clock = clock
        self.cache: Final[Cache[tuple[str, ...], CachedPage]] = Cache(
            "catalogue_pages", PAGES_MAX_BYTES, PAGE_MAX_BYTES, size_of=lambda page: len(page.body)
        )
        self._making: dict[tuple[str, ...], asyncio.Event] = {}
        """Pages that are being made; no more than there are requests."""
        self._pacer = Pacer()

    def handler(self, make: Handler) -> Handler:
        """A handler that makes pages, behind the cache."""

        async def answer(request: Request) -> Response:
            await self._pacer.admit()
            reader = self._frame.reader(request)
            if wants_json(request) or reader.account or self._caller_of(request) != ANONYMOUS:
                return await make(request)
            address = request.scope["path"], request.scope["query_string"].decode("latin-1")
            key = (*address, reader.language, reader.locale, reader.theme or "")
            version = await self._version()
            page = self._good(key, version)
            while page is None and (making := self._making.get(key)) is not None:
                await making.wait()
                page = self._good(key, version)
            if page is None:
                return await self._made(make, request, key, version)
            shown = Response(page.body)
            shown.raw_headers = list(page.headers)
            return shown

        return answer

    def _good(self, key: tuple[str, ...], version: int) -> CachedPage | None:
        """A page that can be shown as it is."""
        page = self.cache.get(key)
        is_good = page is not None and page.version >= version and self._clock.monotonic() <= page.until_s
        return page if is_good else None

    async def _made(self, make: Handler, request: Request, key: tuple[str, ...], version: int) -> Response:
        """A new page, while others who request it wait."""
        assert key not in self._making, "a page is made once at a time"
        self._making[key] = asyncio.Event()
        try:
            response = await make(request)
            if isinstance(response, PageResponse):
                await response.complete()
            if response.status_code == 200:
                until_s = self._clock.monotonic() + AGE_MAX_S
                made = CachedPage(bytes(response.body), tuple(response.raw_headers), version, until_s)
                self.cache.put(key, made)
            return response
        finally:
            self._making.pop(key).set()
