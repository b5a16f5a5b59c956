"""Who calls this marketplace: operators' tokens, sessions of browsers, and what was ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.keys import SigningKey
from hansa.identity import TokenAuthenticate
from hansa.identity.endings import Endings
from hansa.identity.principal import RoleRules
from hansa.identity.sessions import PURPOSE, BrowserSessions, Forms, SessionAuthenticate, SessionCookie
from hansa.node.folder import TOKEN_KEY, member_secret
from hansa.node.settings.loading import Settings
from hansa.store import Store


class IdentityParts:
    """What knows the callers of a marketplace. `load` comes before the first request."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, entropy: Entropy) -> None:
        limits = settings.limits
        self.rules: Final = RoleRules.of(settings.did, settings.operator_organizations)
        """What roles follow from powers."""
        self.endings: Final = Endings(store, clock)
        forms = Forms(member_secret(Path()).key(PURPOSE), settings.endpoint)
        cookie = SessionCookie(settings.did)
        self.sessions: Final = BrowserSessions(store, self.endings, cookie, forms, clock, entropy, limits)
        key = SigningKey.load(TOKEN_KEY).verifying_key()
        tokens = TokenAuthenticate(key, settings.did, clock, limits.token_lifetime_max_s)
        self.authenticate: Final = SessionAuthenticate(tokens, self.sessions)
        self.caches: Final[tuple[HasFigures, ...]] = (tokens.cache,)

    async def load(self) -> None:
        """Read who was logged in, and what had been ended, before the start.

        Raises:
            Unavailable: The store cannot be read.
        """
        await self.endings.load()
        await self.sessions.load()

    def tasks(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What runs in the background."""
        return (("sessions", self.sessions.run),)
