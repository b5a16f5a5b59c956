"""Selective disclosure (RFC 9901): putting what a holder disclosed into the claims that an issuer signed.

Digests stand where claims were: in `_sd` of an object, or as `{"...": digest}` in an array. Each is that of a
disclosure, of one that is withheld, or a decoy. Section 7.1 of the RFC is followed to the letter, and one
thing more: every disclosure has to be used, and once.

    a digest that is twice there, anywhere      refused
    a disclosure that is twice there            refused
    a disclosure that no digest stands for      refused: somebody added or altered it
    a claim that hides one that is signed       refused, as one that hides another disclosed one
    a disclosure of an object in an array,      refused
      and the other way round
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.bounded_json import read_json
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.identity.credentials.formats.document import DEPTH_MAX
from hansa.identity.credentials.refusals import malformed
from hansa.identity.foreign_jws import decoded_part

DISCLOSURES_MAX: Final = 512
DIGESTS_MAX: Final = 4000

HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}
"""Names of `_sd_alg` (IANA's registry of named information hash algorithms)."""
_DIGESTS: Final = "_sd"
_ALGORITHM: Final = "_sd_alg"
_PLACE: Final = "..."
_RESERVED: Final = frozenset({_DIGESTS, _ALGORITHM, _PLACE})
_LIMITS: Final = Limits(
    body_depth_max=DEPTH_MAX, body_nodes_max=4000, array_length_max_items=2000, string_length_max_chars=98_304
)


class Disclosure(msgspec.Struct, frozen=True):
    """A claim, or an element of an array, that the holder discloses."""

    name: str | None
    """Of the claim; None for an element."""
    value: Any


def hash_of(claims: Mapping[str, Any]) -> Callable[[str], str]:
    """The function from the text of a disclosure to its digest.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`, when the algorithm is none of `HASHES`.
    """
    name = claims.get(_ALGORITHM, "sha-256")
    algorithm = HASHES.get(name) if isinstance(name, str) else None
    if algorithm is None:
        raise malformed(f"its hash algorithm {name!r} is none that is allowed (`_sd_alg`)")
    return lambda text: to_base64url(algorithm(text.encode("ascii")).digest())


def disclosed_claims(claims: Mapping[str, Any], disclosures: Sequence[str]) -> dict[str, Any]:
    """The claims that an issuer signed, with those that are disclosed, and without any digests.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    if len(disclosures) > DISCLOSURES_MAX:
        raise malformed(f"it has more than {DISCLOSURES_MAX} disclosures")
    digest_of = hash_of(claims)
    by_digest = {digest_of(text): _read_disclosure(text) for text in disclosures}
    if len(by_digest) < len(disclosures):
        raise malformed("a disclosure is twice there")
    filling = _Filling(by_digest)
    signed = {name: value for name, value in claims.items() if name != _ALGORITHM}
    result = filling.object(signed, 0)
    if filling.unused:
        raise malformed("a disclosure belongs to nothing that the issuer signed: it was added or altered")
    return result


def _read_disclosure(text: str) -> Disclosure:
    try:
        parts = read_json(decoded_part(text), _LIMITS)
    except Refused as error:
        raise malformed(f"a disclosure cannot be read: {error.message}") from error
    if not isinstance(parts, list) or len(parts) not in {2, 3} or not isinstance(parts[0], str):
        raise malformed("a disclosure is no array of a salt, perhaps a name, and a value")
    if len(parts) == 2:
        return Disclosure(None, parts[1])
    if not isinstance(parts[1], str) or parts[1] in _RESERVED:
        raise malformed(f"a disclosure has a name that no claim can have: {json.dumps(parts[1])[:64]}")
    return Disclosure(parts[1], parts[2])


class _Filling:
    """Puts disclosures into the places of their digests."""

    def __init__(self, by_digest: Mapping[str, Disclosure]) -> None:
        self.unused = dict(by_digest)
        self._digests: set[str] = set()

    def object(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """An object with its disclosed claims."""
        if _PLACE in value or _ALGORITHM in value:
            raise malformed("a name of selective disclosure stands where it means nothing")
        result = {name: self._any(item, depth + 1) for name, item in value.items() if name != _DIGESTS}
        digests = value.get(_DIGESTS, [])
        if not isinstance(digests, list):
            raise malformed("`_sd` is no list of digests")
        for digest in digests:
            disclosure = self._taken(digest)
            if disclosure is None:
                continue
            if disclosure.name is None:
                raise malformed("a disclosure of an array's element stands for a claim of an object")
            if disclosure.name in result:
                raise malformed(f"a disclosure hides another claim: {json.dumps(disclosure.name)[:64]}")
            result[disclosure.name] = self._any(disclosure.value, depth + 1)
        return result

    def _array(self, value: Sequence[Any], depth: int) -> list[Any]:
        result = []
        for item in value:
            if not isinstance(item, dict) or _PLACE not in item:
                result.append(self._any(item, depth + 1))
                continue
            if len(item) != 1:
                raise malformed("the place of an array's element has something beside its digest")
            disclosure = self._taken(item[_PLACE])
            if disclosure is None:
                continue
            if disclosure.name is not None:
                raise malformed("a disclosure of an object's claim stands for an element of an array")
            result.append(self._any(disclosure.value, depth + 1))
        return result

    def _any(self, value: Any, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise malformed(f"its claims are nested deeper than {DEPTH_MAX} levels")
        if isinstance(value, dict):
            return self.object(value, depth)
        return self._array(value, depth) if isinstance(value, list) else value

    def _taken(self, digest: Any) -> Disclosure | None:
        """The disclosure of a digest, which is used up; None: it is withheld, or a decoy."""
        if not isinstance(digest, str):
            raise malformed("a digest is no text")
        if digest in self._digests:
            raise malformed("a digest is twice there")
        if len(self._digests) == DIGESTS_MAX:
            raise malformed(f"it has more than {DIGESTS_MAX} digests")
        self._digests.add(digest)
        return self.unused.pop(digest, None)
