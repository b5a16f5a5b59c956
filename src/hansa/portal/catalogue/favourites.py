"""What whoever is logged in has marked: kept in the store, while others have their list in the URL.

POST /favourites          marks the offerings of the fields `pick`
POST /favourites/remove   the opposite
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import People, Role, Visit, page_for, see
from hansa.portal.frame.reader import local_path

FAVOURITES_PATH: Final = "/favourites"
ID_MAX_CHARS: Final = 500
ADDED_MAX: Final = 50
"""By one form."""


class StoredFavourites(Protocol):
    """Favourites of people, by their subject."""

    async def of(self, subject: str) -> tuple[str, ...]:
        """Identifiers of offerings; the newest favourite first."""

    async def add(self, subject: str, offerings: Sequence[str]) -> None:
        """Add some.

        Raises:
            Refused: `Code.INVALID`, when there would be too many; then none is added.
        """

    async def remove(self, subject: str, offerings: Sequence[str]) -> None:
        """Remove some; those that are none are passed over."""


class Favourites:
    """Handlers of these forms, and what pages show of favourites.

    Args:
        people: Knows who is logged in.
        stored: Their favourites.
    """

    def __init__(self, people: People, stored: StoredFavourites) -> None:
        self._people = people
        self._stored = stored

    def routes(self) -> list[BaseRoute]:
        """Both forms; the page itself is a page of the catalogue."""
        return [
            Route(FAVOURITES_PATH, page_for(self._people, Role.ACCOUNT, self.add), methods=["POST"]),
            Route(
                f"{FAVOURITES_PATH}/remove",
                page_for(self._people, Role.ACCOUNT, self.remove),
                methods=["POST"],
            ),
        ]

    async def of(self, request: Request) -> tuple[str, ...] | None:
        """The favourites of whoever sends a request; None when nobody is logged in."""
        subject = self._people.caller(request).subject
        return await self._stored.of(subject) if subject else None

    async def add(self, visit: Visit) -> Response:
        """`POST /favourites`."""
        await self._stored.add(_subject(visit), _picked(visit))
        return see(_following(visit))

    async def remove(self, visit: Visit) -> Response:
        """`POST /favourites/remove`."""
        await self._stored.remove(_subject(visit), _picked(visit))
        return see(_following(visit))


def _subject(visit: Visit) -> str:
    if not visit.caller.subject:
        raise Refused(Code.FORBIDDEN, "Favourites are kept for people who log in with a credential.")
    return visit.caller.subject


def _picked(visit: Visit) -> tuple[str, ...]:
    picked = tuple(dict.fromkeys(filter(None, visit.form.all("pick"))))
    if not picked or len(picked) > ADDED_MAX or any(len(one) > ID_MAX_CHARS for one in picked):
        raise Refused(Code.INVALID, f"pick: one to {ADDED_MAX} offerings, by their identifiers.")
    return picked


def _following(visit: Visit) -> str:
    return local_path(visit.form.one("return_to")) or FAVOURITES_PATH
