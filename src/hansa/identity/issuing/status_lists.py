"""The status lists that the issuer publishes: which of its credentials are revoked or suspended.

    Token Status List        for `dc+sd-jwt`: zlib, two bits for each, the first in the lowest bits;
                             0 valid, 1 revoked, 2 suspended (draft-ietf-oauth-status-list)
    Bitstring Status List    for `jwt_vc_json`: gzip, the first in the highest bit; one for revocation and
                             one for suspension, with the same places (W3C)

Every organisation has lists of its own, signed by its own seal: a verifier takes the word of the credential's
issuer alone. All lists have the same length from the beginning, and places are given out at random, so that a
list tells neither how many credentials there are nor which one is somebody's. A list that is half full is
followed by another, so that a free place is found at once.

A signed list is good for an hour, and says that it be fetched again after a minute (`ttl`): so long at most a
revoked credential is still taken somewhere. A list is signed when it is requested and has changed, or was
signed half a minute ago; the latest stay in memory.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Final, Literal

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.cache import Cache
from hansa.core.certificates.elsi import elsi_did
from hansa.core.clock import Clock, epoch_s, rfc3339_at
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy
from hansa.identity.credentials.signing_keys import signed_jwt
from hansa.identity.issuing.authority import DevelopmentAuthority, Seal
from hansa.store import Store
from hansa.store.interface import Transaction
from hansa.store.tables import issuing
from hansa.store.tables.issuing import ListKind, StatusList

PLACES: Final = 131_072
"""Of a list; W3C: 16 kB at least."""
TOKEN_BITS: Final = 2
LIST_LIFE_S: Final = 3600
LIST_TTL_S: Final = 60
SIGNED_FOR_S: Final = 30
LISTS_CACHED_MAX_BYTES: Final = 16_777_216
TOKEN_TYPE: Final = "application/statuslist+jwt"  # noqa: S105 - a media type
BITSTRING_TYPE: Final = "application/vc+jwt"

CredentialStatus = Literal["valid", "revoked", "suspended"]
STATUSES: Final[tuple[CredentialStatus, ...]] = ("valid", "revoked", "suspended")
"""By their numbers in a list."""
_OF_PURPOSE: Final = {"revocation": 1, "suspension": 2}


class SignedList(msgspec.Struct, frozen=True):
    """A list as it is served."""

    media_type: str
    body: bytes


class _Cached(msgspec.Struct, frozen=True):
    signed_at_s: int
    entries: tuple[tuple[int, int], ...]
    list: SignedList


class PublishedLists:
    """The status lists of this issuer. To be used on one event loop."""

    def __init__(
        self, store: Store, authority: DevelopmentAuthority, endpoint: str, clock: Clock, entropy: Entropy
    ) -> None:
        self._store = store
        self._authority = authority
        self._endpoint = endpoint
        self._clock = clock
        self._entropy = entropy
        self.cache: Final[Cache[int, _Cached]] = Cache(
            "published_status_lists", LISTS_CACHED_MAX_BYTES, size_of=lambda one: len(one.list.body) + 256
        )

    def uri(self, number: int) -> str:
        """Where a list is."""
        return f"{self._endpoint}/status-lists/{number}"

    async def place(self, tx: Transaction, organization: str, kind: ListKind) -> tuple[int, int]:
        """A free place for a credential: number of the list, and place in it."""
        current = await issuing.newest_list(tx, organization, kind)
        if current is None or current.taken >= PLACES // 2:
            current = await issuing.add_list(tx, organization, kind)
            if kind == "revocation":
                await issuing.add_list(tx, organization, "suspension")
        while True:
            place = int.from_bytes(self._entropy(4)) % PLACES
            if not await issuing.is_taken(tx, current.number, place):
                return current.number, place

    async def signed(self, number: int) -> SignedList:
        """A list, signed.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        one = await issuing.status_list(self._store, number)
        if one is None:
            raise Refused(Code.NOT_FOUND, "There is no such status list.")
        source = number - 1 if one.kind == "suspension" else number
        entries = await issuing.statuses(self._store, source)
        now_s = epoch_s(self._clock)
        cached = self.cache.get(number)
        if (
            cached is not None
            and cached.entries == entries
            and 0 <= now_s - cached.signed_at_s < SIGNED_FOR_S
        ):
            return cached.list
        seal = self._authority.present_seal(one.organization)
        result = await self._written(one, entries, seal, now_s)
        self.cache.put(number, _Cached(now_s, entries, result))
        return result

    async def _written(
        self, one: StatusList, entries: tuple[tuple[int, int], ...], seal: Seal, now_s: int
    ) -> SignedList:
        issuer, uri = elsi_did(one.organization), self.uri(one.number)
        if one.kind == "token":
            claims = {
                "sub": uri,
                "iss": issuer,
                "iat": now_s,
                "exp": now_s + LIST_LIFE_S,
                "ttl": LIST_TTL_S,
                "status_list": {"bits": TOKEN_BITS, "lst": token_list_text(entries)},
            }
            text = await signed_jwt(seal.key, {"typ": "statuslist+jwt", "x5c": seal.chain}, claims)
            return SignedList(TOKEN_TYPE, text.encode("ascii"))
        claims = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": uri,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": issuer,
            "validFrom": rfc3339_at(now_s),
            "validUntil": rfc3339_at(now_s + LIST_LIFE_S),
            "credentialSubject": {
                "id": f"{uri}#list",
                "type": "BitstringStatusList",
                "statusPurpose": one.kind,
                "ttl": 1000 * LIST_TTL_S,
                "encodedList": bitstring_text(entries, _OF_PURPOSE[one.kind]),
            },
        }
        text = await signed_jwt(seal.key, {"typ": "vc+jwt", "x5c": seal.chain}, claims)
        return SignedList(BITSTRING_TYPE, text.encode("ascii"))


def token_list_text(entries: tuple[tuple[int, int], ...]) -> str:
    """`lst` of a Token Status List: places and their statuses, all others being 0."""
    content = bytearray(PLACES * TOKEN_BITS // 8)
    for place, status in entries:
        position = place * TOKEN_BITS
        content[position // 8] |= status << position % 8
    return to_base64url(zlib.compress(bytes(content), 9))


def bitstring_text(entries: tuple[tuple[int, int], ...], status: int) -> str:
    """`encodedList` of a Bitstring Status List: a bit for each place that has the status."""
    content = bytearray(PLACES // 8)
    for place, value in entries:
        if value == status:
            content[place // 8] |= 0x80 >> place % 8
    return "u" + to_base64url(gzip.compress(bytes(content), 9, mtime=0))
