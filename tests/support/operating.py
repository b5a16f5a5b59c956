"""Browsers of operators and others at a whole marketplace."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from hansa.identity.principal import Principal
from tests.support.asgi import AsgiClient, Response
from tests.support.logins import cookie_of
from tests.support.whole import Whole

ENDPOINT: Final = "http://127.0.0.1:8101"
OTTO: Final = Principal(
    subject="urn:hansa:subject:otto",
    organization="VATDE-99",
    kind="employee",
    organization_name="Lübeck Market",
    name="Otto Operator",
    roles=frozenset({"operator"}),
    credential_id="urn:uuid:otto",
)


class Browser(NamedTuple):
    """Somebody who is logged in."""

    client: AsgiClient

    async def shows(self, path: str) -> str:
        """A page."""
        answer = await self.client.get(path)
        assert answer.status == 200, (path, answer.status, answer.body[:300])
        return answer.body.decode()

    async def sends(self, path: str, fields: dict[str, str], *, page: str) -> Response:
        """The answer to a form of a page."""
        (csrf, *_) = re.findall(r'name="csrf" value="([^"]+)"', await self.shows(page))
        return await self.client.post_form(path, {"csrf": csrf, **fields}, {"origin": ENDPOINT})


async def browser_of(whole: Whole, principal: Principal) -> Browser:
    """A browser in which somebody is logged in."""
    logged_in = await whole.marketplace.identity.sessions.begin(principal, "/", {})
    cookie = cookie_of(logged_in).decode()
    return Browser(whole.anonymous.with_headers(cookie=cookie, accept="text/html", origin=ENDPOINT))
