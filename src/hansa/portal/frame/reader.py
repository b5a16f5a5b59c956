"""Who reads a page: the language, the region and the theme, by address, cookie or browser.

A choice in the address (`?lang=de`) holds for that page alone; `/preferences` puts it into a cookie. Nothing
else is in these cookies, and nobody is recognised by them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, get_args

import msgspec
from starlette.requests import Request

from hansa.portal.frame.languages import REGIONS, SOURCE, Catalogues
from hansa.portal.frame.links import address_of
from hansa.portal.frame.people import Person

Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)
LANGUAGE_COOKIE: Final = "lang"
THEME_COOKIE: Final = "theme"
RETURN_PATH_MAX_CHARS: Final = 2048
ACCEPT_MAX_CHARS: Final = 1024
ACCEPTS_CACHED_MAX: Final = 256
"""Values of `Accept-Language` that are read once."""
ACCEPTED_MAX: Final = 20
"""Languages of `Accept-Language` that are looked at."""

_QUALITY: Final = re.compile(r"\s*;\s*q=(?P<q>0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.ASCII)


class PageReader(msgspec.Struct, frozen=True):
    """How a page is shown to somebody."""

    language: str
    locale: str
    """For numbers and dates, as `de_AT`."""
    theme: Theme | None
    """None: as the system has it."""
    path: str
    """Path of the page with its query, for links that lead back to it."""
    account: Person | None = None
    """Who is logged in."""
    has_login: bool = False
    """Whether people can log in here."""


def reader_of(request: Request, catalogues: Catalogues) -> PageReader:
    """Who sends this request."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE) or ""
    accepted = _accepted(request.headers.get("accept-language", "")[:ACCEPT_MAX_CHARS])
    preferred = (chosen, *accepted)
    languages = (tag.partition("-")[0] for tag in preferred)
    language = next((one for one in languages if one in catalogues), SOURCE)
    theme = request.cookies.get(THEME_COOKIE)
    return PageReader(
        language=language,
        locale=_locale(language, preferred),
        theme=next((one for one in THEMES if one == theme), None),
        path=local_path(address_of(request)) or "/",
    )


def local_path(text: str) -> str | None:
    """A path of this server with its query, as it may stand in `Location`; None for anything else.

    Browsers take two slashes, or a slash and a backslash, for the beginning of another server's address.
    """
    is_local = text.startswith("/") and text[1:2] not in {"/", "\\"}
    is_plain = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
    return text if is_local and is_plain and len(text) <= RETURN_PATH_MAX_CHARS else None


@lru_cache(ACCEPTS_CACHED_MAX)
def _accepted(header: str) -> tuple[str, ...]:
    """The languages of `Accept-Language` in lower case, the most welcome first (RFC 9110, section 12.5.4)."""
    weighed: list[tuple[float, str]] = []
    for item in header.split(",")[:ACCEPTED_MAX]:
        tag, _, _ = item.partition(";")
        quality = _QUALITY.fullmatch(item[len(tag) :])
        weight = float(quality["q"]) if quality else 1.0
        if weight > 0:
            weighed.append((weight, tag.strip().lower()))
    weighed.sort(key=lambda one: -one[0])
    return tuple(tag for _, tag in weighed)


def _locale(language: str, preferred: tuple[str, ...]) -> str:
    regions = REGIONS.get(language, REGIONS[SOURCE])
    known = {region.lower().replace("_", "-"): region for region in regions}
    return next((known[tag] for tag in preferred if tag in known), regions[0])
