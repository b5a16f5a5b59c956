"""The web pages, as the settings say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hansa.api.responses import response_of
from hansa.business.models import Models
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.files import read_file
from hansa.node.http.application import ErrorAnswer, rest_application
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.node.settings.loading import Settings
from hansa.portal import Branding, Frame, Overview, PortalRoutes, error_page
from hansa.portal.frame.branding import Logo
from hansa.portal.frame.frame import wants_page

LOGO_MAX_BYTES: Final = 65_536
_KINDS: Final = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"<svg", "image/svg+xml"), (b"<?xml", "image/svg+xml"))


class Portal(msgspec.Struct, frozen=True):
    """What the wiring needs of it."""

    frame: Frame
    """Of further pages."""
    routes: PortalRoutes
    answer: ErrorAnswer
    """Reports errors: as a page to whoever requests pages."""

    def application(self, others: Sequence[BaseRoute]) -> Starlette:
        """The pages and other routes as one application."""
        return rest_application([*self.routes.routes(), *others], self.answer)


def portal(
    settings: Settings,
    models: Models,
    overview: Callable[[], Awaitable[Overview]],
    described: LeagueDescriptions,
    account_of: Callable[[Request], str],
) -> Portal:
    """The pages of a marketplace.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a colour cannot be read or the logo is none.
    """
    is_secure = settings.endpoint.startswith("https:")
    frame = Frame(branding(settings), account_of=account_of, is_secure=is_secure)

    def answer(request: Request, error: HansaError) -> Response:
        return error_page(frame, request, error) if wants_page(request) else response_of(error)

    return Portal(frame, PortalRoutes(frame, models, settings.endpoint, overview, described), answer)


def branding(settings: Settings) -> Branding:
    """The look that the settings describe."""
    made = Branding(
        name=settings.name,
        accent=settings.portal_accent,
        accent_dark=settings.portal_accent_dark,
        logo=_logo(settings.portal_logo),
        imprint=settings.portal_imprint,
        terms=settings.portal_terms,
    )
    made.check()
    return made


def _logo(name: str) -> Logo | None:
    if not name:
        return None
    content = read_file(Path(name), "portal_logo names a file in the marketplace's folder.")
    kind = next((media for start, media in _KINDS if content.lstrip().startswith(start)), None)
    if kind is None or len(content) > LOGO_MAX_BYTES:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"portal_logo: {name} must be SVG or PNG of {LOGO_MAX_BYTES} bytes at most.",
        )
    return Logo(content, kind)
