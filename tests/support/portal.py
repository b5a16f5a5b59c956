"""The portal as tests need it."""

from __future__ import annotations

from html.parser import HTMLParser

from hansa.node.http.application import rest_application
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.portal import Branding, Frame, Overview, PortalRoutes
from tests.support.asgi import AsgiClient
from tests.support.business import ENDPOINT, MODELS

EVIL = "<script>alert('x')</script>\"'"


class Elements(HTMLParser):
    """The elements of a page in their order, with attributes; and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        """Addresses of all links."""
        return [attributes["href"] or "" for tag, attributes in self.elements if tag == "a"]


def portal_routes(overview: Overview, branding: Branding | None = None) -> PortalRoutes:
    """The portal of a marketplace in that state."""

    async def state() -> Overview:
        return overview

    frame = Frame(branding or Branding("lubeck"))
    return PortalRoutes(frame, MODELS, ENDPOINT, state, LeagueDescriptions(ENDPOINT))


def portal_client(overview: Overview, branding: Branding | None = None) -> AsgiClient:
    """A client of it."""
    return AsgiClient(rest_application(portal_routes(overview, branding).routes()))
