"""Principals, sessions and what they stand on, in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from hansa.core.access import Power
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.identity.endings import Endings
from hansa.identity.principal import Principal
from hansa.identity.sessions import BrowserSessions, Forms, Headers, LoggedIn, SessionCookie
from hansa.store import Store
from hansa.store.memory.store import MemoryStore

DID: Final = "did:example:lubeck"
ENDPOINT: Final = "https://market.example"
OFFERING: Final = Power("DOME", "ProductOffering", ("Create", "Update"))
ANA: Final = Principal(
    subject="did:key:zAna",
    organization="VATES-12345678",
    kind="employee",
    organization_name="GoodAir",
    country="ES",
    name="Ana Prueba",
    email="ana@goodair.example",
    powers=(OFFERING,),
    roles=frozenset({"provider"}),
    credential_id="urn:uuid:ana",
)
BOB: Final = Principal(
    subject="did:key:zBob", organization="VATDE-1", kind="employee", name="Bob", credential_id="urn:uuid:bob"
)


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    """An `Entropy` that gives the same bytes each time."""
    return random.Random(seed).randbytes


def cookie_of(logged_in: LoggedIn) -> bytes:
    """What a browser sends back that was told to keep a cookie."""
    (cookie,) = logged_in.cookies
    return cookie.partition(";")[0].encode("ascii")


def with_cookie(cookie: bytes, **headers: str) -> Headers:
    """The headers of a request with a cookie."""
    more = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return {b"cookie": cookie, **more}


class LoggingIn:
    """Sessions on a store in memory."""

    def __init__(self, store: Store | None = None, clock: ManualClock | None = None, **limits: Any) -> None:
        self.clock = clock or ManualClock()
        self.limits = Limits(**limits)
        self.store = store or MemoryStore(self.clock, self.limits)
        self.endings = Endings(self.store, self.clock)
        self.cookie = SessionCookie(DID)
        self.sessions = BrowserSessions(
            *(self.store, self.endings, self.cookie, Forms(b"k" * 32, ENDPOINT)),
            *(self.clock, seeded(), self.limits),
        )

    async def login(self, principal: Principal = ANA, cookie: bytes = b"") -> bytes:
        """The cookie of somebody who has just logged in."""
        return cookie_of(await self.sessions.begin(principal, "/", {b"cookie": cookie}))

    def subject(self, cookie: bytes) -> str | None:
        """Who has a cookie."""
        session = self.sessions.of({b"cookie": cookie})
        return None if session is None else session.principal.subject

    async def restarted(self) -> LoggingIn:
        """The same after a restart."""
        other = LoggingIn(self.store, self.clock)
        other.limits = self.limits
        await other.endings.load()
        await other.sessions.load()
        return other
