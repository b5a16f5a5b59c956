"""Public keys of members, ready for verifying: reading one from its JWK costs more than a look-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hansa.core.cache import Cache
from hansa.core.errors import Refused
from hansa.core.jws import CompactJws
from hansa.core.keys import PublicJwk, VerifyingKey
from hansa.core.members import Member

KEYS_CACHED_MAX: Final = 1024


class VerifyingKeys:
    """Keys by their JWK. Whether one is registered is for whoever looks it up. Bounded."""

    def __init__(self) -> None:
        self.cache: Final[Cache[PublicJwk, VerifyingKey]] = Cache("member_keys", KEYS_CACHED_MAX)

    def of_jwk(self, jwk: PublicJwk) -> VerifyingKey:
        """The key that a JWK is.

        Raises:
            Refused: `Code.INVALID`, when it is no usable key.
        """
        key = self.cache.get(jwk)
        if key is None:
            key = VerifyingKey(jwk)
            self.cache.put(jwk, key)
        return key

    def check_signature(self, jws: CompactJws, member: Member, refused: Callable[[str], Refused]) -> None:
        """Check that a key of a member signed something.

        Raises:
            Refused: As `refused` makes it.
        """
        jwk = member.key(jws.kid)
        if jwk is None:
            raise refused("names a key that the league does not know for this member")
        try:
            self.of_jwk(jwk).verify(jws)
        except Refused as error:
            raise refused("has a wrong signature") from error
