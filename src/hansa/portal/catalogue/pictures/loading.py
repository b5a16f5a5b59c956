"""Loads the pictures that offerings have as attachments.

An attachment holds its content, or names an address. An address is loaded only when a member is registered
there, by the client that connects to no one else; of any other, pages show a link. What was loaded stays for
an hour, and a failure for a minute. Few are loaded at a time, and few may wait.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.web_addresses import web_address
from hansa.portal.catalogue.fields import Fields, items_in, path_of, text_in
from hansa.portal.catalogue.pictures import PictureUnusable

SERVED_TYPE: Final = "image/webp"
MEDIA_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
SHOWN_MAX: Final = 4
"""Of an offering."""
RAW_MAX_BYTES: Final = 2 * 1024 * 1024
CACHE_MAX_BYTES: Final = 16 * 1024 * 1024
AGE_MAX_S: Final = 3600.0
FAILURE_AGE_MAX_S: Final = 60.0
TIMEOUT_S: Final = 5.0
LOADED_AT_ONCE: Final = 2
WAITING_MAX: Final = 32
_FAILED: Final = b""


class ShownPicture(msgspec.Struct, frozen=True):
    """A picture on a page."""

    path: str
    text: str
    """What it is called, for whoever does not see it."""


class Pictures:
    """Pictures of offerings.

    Args:
        http: Connects to members alone.
        has_origin: Whether a member is registered at an origin.
        clock: For the age of what was loaded.
    """

    def __init__(self, http: HttpClient, has_origin: Callable[[str], Awaitable[bool]], clock: Clock) -> None:
        self._http = http
        self._has_origin = has_origin
        self._clock = clock
        self.cache: Final[Cache[str, tuple[float, bytes]]] = Cache(
            "pictures", CACHE_MAX_BYTES, size_of=lambda one: len(one[1]) + 100
        )
        """Until when it is good, and the picture; empty: it could not be loaded."""
        self._room = asyncio.Semaphore(LOADED_AT_ONCE)
        self._waiting = 0

    async def shown(self, offering_id: str, fields: Fields) -> tuple[ShownPicture, ...]:
        """Those of an offering's attachments that are pictures which may be loaded."""
        pictures: list[ShownPicture] = []
        for number, one in enumerate(items_in(fields, "attachment")):
            if len(pictures) < SHOWN_MAX and await self._is_allowed(one):
                path = f"{path_of('offerings', offering_id)}/pictures/{number}"
                pictures.append(ShownPicture(path, text_in(one, "name") or text_in(one, "description")))
        return tuple(pictures)

    async def picture(self, fields: Fields, number: int) -> bytes:
        """A picture of an offering, ready to be served.

        Raises:
            Refused: `Code.NOT_FOUND`, when there is none, or it cannot be shown.
            Unavailable: `Code.OVERLOADED`.
        """
        attachments = items_in(fields, "attachment")
        if not (0 <= number < len(attachments)) or not await self._is_allowed(attachments[number]):
            raise _absent("The offering has no picture of this number that may be shown.")
        one = attachments[number]
        content = text_in(one, "content")
        key = hashlib.sha256(content.encode()).hexdigest() if content else text_in(one, "url")
        picture = self._known(key)
        if picture is None:
            if self._waiting >= WAITING_MAX:
                raise Unavailable(
                    Code.OVERLOADED, "Too many pictures are being loaded; try again shortly.", 2.0
                )
            self._waiting += 1
            try:
                async with self._room:
                    picture = self._known(key)
                    if picture is None:
                        picture = await self._loaded(content, text_in(one, "url"))
                        age_s = AGE_MAX_S if picture else FAILURE_AGE_MAX_S
                        self.cache.put(key, (self._clock.monotonic() + age_s, picture))
            finally:
                self._waiting -= 1
        if picture == _FAILED:
            raise _absent("The picture cannot be loaded, or is none that can be shown.")
        return picture

    def _known(self, key: str) -> bytes | None:
        known = self.cache.get(key)
        return known[1] if known is not None and self._clock.monotonic() <= known[0] else None

    async def _is_allowed(self, attachment: Fields) -> bool:
        if text_in(attachment, "mimeType").strip().lower() not in MEDIA_TYPES:
            return False
        if text_in(attachment, "content"):
            return True
        try:
            return await self._has_origin(web_address(text_in(attachment, "url")).origin)
        except Refused:
            return False

    async def _loaded(self, content: str, url: str) -> bytes:
        """The picture; empty when it cannot be had."""
        try:
            raw = _content(content) if content else await self._fetched(url)
            return await asyncio.to_thread(_encoded, raw)
        except (PictureUnusable, HansaError, ValueError):
            return _FAILED

    async def _fetched(self, url: str) -> bytes:
        headers = {"Accept": ", ".join(sorted(MEDIA_TYPES))}
        answer = await self._http.send(
            HttpRequest("GET", url, headers, timeout_s=TIMEOUT_S, answer_size_max_bytes=RAW_MAX_BYTES)
        )
        if answer.status != 200:
            raise PictureUnusable
        return answer.body


def _encoded(raw: bytes) -> bytes:
    from hansa.portal.catalogue.pictures.encoding import encoded  # the decoders are loaded when one is needed

    return encoded(raw)


def _content(text: str) -> bytes:
    if len(text) > RAW_MAX_BYTES * 4 // 3 + 4:
        raise PictureUnusable
    return base64.b64decode(text, validate=True)


def _absent(message: str) -> Refused:
    return Refused(Code.NOT_FOUND, message)
