"""Pages that are made beside the event loop, because much is in them.

What an entity says can be long, and Markdown takes up to 25 microseconds a character where it is written to
be slow: a page of one description would have everybody else wait for half a second. So what a page is made of
is weighed before: a light page is made at once, and a heavy one by a thread, when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hansa.core.thread_work import CHEAP, LargeWork

TEXT_WEIGHT: Final = 32
"""How much heavier a character of the longest text is than others: it may be Markdown."""

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


class PageResponse(Response):
    """A page that is not made yet.

    Args:
        make: Makes its markup.
        weight: Of the page.
        large_work: Has threads.
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
        status: int,
        headers: Mapping[str, str],
        *,
        is_stranger: bool,
    ) -> None:
        super().__init__(None, status, headers)
        del self.headers["content-length"]
        self._make: Callable[[], bytes] | None = make
        self._weight = weight
        self._large_work = large_work
        self._is_stranger = is_stranger

    async def complete(self) -> None:
        """Make the page, unless that was done.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many are being made.
        """
        make, self._make = self._make, None
        if make is not None:
            self.body = await self._large_work.run(self._weight, make, is_stranger=self._is_stranger)
            self.headers["content-length"] = str(len(self.body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        await self.complete()
        await super().__call__(scope, receive, send)


def weight_of(page: msgspec.Struct) -> int:
    """How heavy a page is that shows this, as `LargeWork` counts bytes."""
    encoded = _ENCODER.encode(page)
    longest = max(map(len, encoded.replace(b'\\"', b"").split(b'"')))
    return len(encoded) // CHEAP + TEXT_WEIGHT * longest
