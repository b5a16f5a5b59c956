"""The page on which whoever is logged in sees as whom, and what follows from their credential.

/account   name, organisation, roles and powers
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.access import Power
from hansa.portal.frame import Frame
from hansa.portal.frame.people import People, Person, Role, Visit, page_for


class AccountPage(msgspec.Struct, frozen=True):
    """For the template `account.html`."""

    person: Person
    powers: tuple[Power, ...]
    """Of the mandate."""


class AccountPages:
    """The handler of this path.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
    """

    def __init__(self, frame: Frame, people: People) -> None:
        self._frame = frame
        self._people = people

    def routes(self) -> list[BaseRoute]:
        """The one."""
        return [Route("/account", page_for(self._people, Role.ACCOUNT, self.account))]

    async def account(self, visit: Visit) -> Response:
        """`GET /account`."""
        page = AccountPage(visit.person, visit.caller.powers)
        return self._frame.negotiated(visit.request, "account.html", page)
