"""The settings of this marketplace: values, where each comes from, what it means; its clients and its keys.

/operator/settings

Keys are shown by identifier and age; nothing that a key file or a token holds is.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, HansaError, Refused
from hansa.portal.frame.people import Visit
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice
from hansa.portal.operators.places import OperatorPage

SOURCES: Final = ("file", "environment", "default")
TEXT_MAX_CHARS: Final = 200

SettingSource = Literal["file", "environment", "default"]


class SettingRow(msgspec.Struct, frozen=True):
    """A setting."""

    key: str
    value: str
    """As in `hansa.toml`."""
    default: str
    """Likewise; empty: it is required."""
    source: SettingSource
    variable: str
    """Its environment variable."""
    meaning: str


class ClientRow(msgspec.Struct, frozen=True):
    """An OpenID client."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    is_confidential: bool


class KeyRow(msgspec.Struct, frozen=True):
    """A file with a key."""

    name: str
    changed: str
    """When; RFC 3339."""


class SettingsPage(OperatorPage, frozen=True):
    """For the template `operating/settings.html`."""

    source: str
    """Of the settings that are shown; empty: all."""
    text: str
    """In their names or meanings; empty: all."""
    settings: tuple[SettingRow, ...]
    clients: tuple[ClientRow, ...]
    fault: str
    """Why the clients cannot be read."""
    keys: tuple[KeyRow, ...]
    key_ids: tuple[str, ...]
    """Of the member's keys that the ledger has."""


class SettingsReads(Protocol):
    """Knows the settings."""

    def settings(self) -> tuple[SettingRow, ...]:
        """All of them, as of the start."""

    async def clients(self) -> tuple[ClientRow, ...]:
        """The OpenID clients.

        Raises:
            HansaError: Their file cannot be read.
        """

    async def keys(self) -> tuple[KeyRow, ...]:
        """The files with keys."""

    def key_ids(self) -> tuple[str, ...]:
        """Of the member's keys that the ledger has."""


class SettingsPages:
    """The handler.

    Args:
        frame: Of pages for operators.
        reads: Knows the settings.
    """

    def __init__(self, frame: OperatorFrame, reads: SettingsReads) -> None:
        self._frame = frame
        self._reads = reads

    def routes(self) -> list[BaseRoute]:
        """The one."""
        return [Route("/operator/settings", self._frame.guarded(self.settings))]

    async def settings(self, visit: Visit) -> Response:
        """`GET /operator/settings?source=&text=`."""
        request = visit.request
        source = requested_choice(visit, "source", ("", *SOURCES))
        text = request.query_params.get("text", "").strip()
        if len(text) > TEXT_MAX_CHARS:
            raise Refused(Code.INVALID, f"text has {TEXT_MAX_CHARS} characters at most.")
        shown = tuple(
            one
            for one in self._reads.settings()
            if source in {"", one.source} and text.lower() in f"{one.key} {one.meaning}".lower()
        )
        clients: tuple[ClientRow, ...] = ()
        fault = ""
        try:
            clients = await self._reads.clients()
        except HansaError as error:
            fault = error.message
        page = SettingsPage(
            *(source, text, shown, clients, fault, await self._reads.keys(), self._reads.key_ids()),
            places=self._frame.places,
        )
        return self._frame.page(visit, "operating/settings.html", page)
