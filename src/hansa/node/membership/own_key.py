"""The key that signs for this marketplace; another one as soon as the ledger has registered it.

    keys/member.jwk        signs
    keys/member-next.jwk   takes the place of the other when the registry names it

The registry names both keys for a while (the overlap). The key before goes on signing for `SWITCH_AFTER_S`
of it, because members that are a few blocks behind do not know the new one; without an overlap the new key
signs at once. A process that ends in between begins with whichever key the registry names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from hansa.core.clock import Clock
from hansa.core.closed_json import Record
from hansa.core.errors import Fatal
from hansa.core.keys import PublicJwk, SigningKey
from hansa.core.members import Member
from hansa.node.folder import adopt_member_key

SWITCH_AFTER_S: Final = 5.0


class OwnKey:
    """The key of the marketplace in a folder; a `hansa.core.keys.KeySigner`.

    Args:
        folder: Of the marketplace.
        did: Of the marketplace.
        key: That it starts with.
        clock: For the pause before a new key signs.
        logger: Gets what happens to the key.
    """

    def __init__(
        self, folder: Path, did: str, key: SigningKey, clock: Clock, logger: FilteringBoundLogger
    ) -> None:
        self._folder = folder
        self._did = did
        self._key = key
        self._clock = clock
        self._logger = logger
        self._next: SigningKey | None = None
        self._next_from_s = 0.0
        self._registered: tuple[PublicJwk, ...] = ()

    @property
    def kid(self) -> str:
        """Name of the key that signs now."""
        return self._current().kid

    def note_members(self, members: Iterable[Member]) -> None:
        """Take note of the registry: another key may have to sign."""
        me = next((one for one in members if one.did == self._did), None)
        if me is None or me.keys == self._registered:
            return
        try:
            key = adopt_member_key(self._folder, me)
        except Fatal as error:
            self._logger.error("member_key_unusable", reason=error.message)
            return
        self._registered = me.keys
        if key.kid != (self._next or self._key).kid:
            has_overlap = me.key(self._key.kid) is not None
            self._next = key
            self._next_from_s = self._clock.monotonic() + (SWITCH_AFTER_S if has_overlap else 0.0)
            self._logger.info("member_key_replaced", kid=key.kid, before=self._key.kid)
        elif me.key(self._key.kid) is None:
            self._next_from_s = self._clock.monotonic()  # the overlap is over

    def sign(self, payload: bytes, header: Record, **fields: Any) -> str:
        """A compact JWS by the key that signs now. See `SigningKey.sign`."""
        return self._current().sign(payload, header, **fields)

    def _current(self) -> SigningKey:
        if self._next is not None and self._clock.monotonic() >= self._next_from_s:
            self._key, self._next = self._next, None
        return self._key
