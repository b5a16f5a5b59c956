"""Pages that are made beside the event loop, because much is in them.

What an entity says can be long, and Markdown takes up to 25 microseconds a character where it is written to
be slow: a page of one description would have everybody else wait for half a second. So what a page is made of
is weighed before: a light page is made in place, and a heavy one by a thread, when it is sent.

A light page takes some milliseconds, too, and many are requested at once: those whose template has to be
rendered are made one in each iteration of the event loop, so that others come in between.

Rendering takes three quarters of the time of a page. So the markup of pages for strangers is remembered, by
all that it depends on: the template, what the page shows, and for whom. What a page shows is read anew for
everybody, so no markup is ever out of date: where anything on the page has changed, so has its key. This is
what is left when something else in the store has changed, and `hansa.portal.catalogue.page_cache` must not
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hansa.core.cache import Cache
from hansa.core.thread_work import CHEAP, SMALL_MAX_BYTES, LargeWork
from hansa.core.yielding import Pacer
from hansa.portal.frame.reader import PageReader

TEXT_WEIGHT: Final = 32
"""How much heavier a character of the longest text is than others: it may be Markdown."""
RENDERED_MAX_BYTES: Final = 16 * 1024 * 1024
RENDERED_PAGE_MAX_BYTES: Final = 256 * 1024

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


class PageResponse(Response):
    """A page that is not made yet.

    Args:
        make: Makes its markup.
        weight: Of the page.
        large_work: Has threads.
        pacer: Has light pages made one after the other.
        is_stranger: Nobody knows who looks.
        status: Of the response.
        headers: Of the response.
    """

    media_type = "text/html"

    def __init__(
        self,
        make: Callable[[], bytes],
        weight: int,
        large_work: LargeWork,
        pacer: Pacer,
        status: int,
        headers: Mapping[str, str],
        *,
        is_stranger: bool,
        made: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(None, status, headers)
        del self.headers["content-length"]
        self._make: Callable[[], bytes] | None = make
        self._weight = weight
        self._large_work = large_work
        self._pacer = pacer
        self._is_stranger = is_stranger
        self._on_made = made

    async def complete(self) -> None:
        """Make the page, unless that was done.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many are being made.
        """
        make, self._make = self._make, None
        if make is not None:
            if self._weight <= SMALL_MAX_BYTES:
                await self._pacer.admit()
            self.body = await self._large_work.run(self._weight, make, is_stranger=self._is_stranger)
            self.headers["content-length"] = str(len(self.body))
            if self._on_made is not None:
                self._on_made(self.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        await self.complete()
        await super().__call__(scope, receive, send)


def encoded_page(page: msgspec.Struct) -> bytes:
    """All that a page shows, as JSON."""
    return _ENCODER.encode(page)


def weight_of(encoded: bytes) -> int:
    """How heavy a page is that shows this (`encoded_page`), as `LargeWork` counts bytes."""
    longest = max(map(len, encoded.replace(b'\\"', b"").split(b'"')))
    return len(encoded) // CHEAP + TEXT_WEIGHT * longest


def rendered_pages() -> Cache[bytes, bytes]:
    """An empty cache of markup by `page_key`."""
    return Cache("rendered_pages", RENDERED_MAX_BYTES, RENDERED_PAGE_MAX_BYTES, size_of=len)


def page_key(template: str, encoded: bytes, reader: PageReader) -> bytes:
    """The key of a page.

    Args:
        template: Name of its template.
        encoded: All that it shows, as JSON. A field of a context has one type, so alike JSON is alike.
        reader: Who reads: nobody who is known.
    """
    assert reader.account is None, "pages for those who are logged in are theirs"
    return sha256(b"%b\n%b\n%b" % (template.encode(), msgspec.json.encode(reader), encoded)).digest()
