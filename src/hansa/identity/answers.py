"""Signed answers between members: what a member sent is proved by its key, with what it was sent for.

The header `Member-Answer` carries a JWT that the answering member signs with a key that the ledger's registry
holds for it. It is bound to one answer to one request: to the whole `Member-Token` of the request (`request`,
which has the member called, method, URL, digest of the body and a single-use identifier in it), the member
that asked (`aud`), the status and the body (`digest`). So the same answer is of no use for another request,
and whoever has request and answer can show to others what was answered.

Requests that no member signed are answered without it. An answer without a signature is believed as far as
its content proves itself, and is evidence against nobody; neither is one whose signature does not hold, since
whatever stands between may have made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock, epoch_s
from hansa.core.closed_json import FreeText, Integer, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.http import MEMBER_TOKEN_HEADER, HttpRequest, HttpResponse
from hansa.core.jws import NUMERIC_DATE, read_compact, token_header
from hansa.core.keys import KeySigner
from hansa.core.members import Member
from hansa.identity.bindings import body_digest
from hansa.identity.requests import TOKEN_SIZE_MAX_BYTES
from hansa.identity.verifying_keys import VerifyingKeys

MEMBER_ANSWER_HEADER: Final = "Member-Answer"
_HEADER_LOWER: Final = MEMBER_ANSWER_HEADER.lower()
TOKEN_TYPE: Final = "member-answer+jwt"  # noqa: S105 - a media type, not a secret
TOKEN_HEADER: Final = token_header(TOKEN_TYPE)


class AnswerClaims(msgspec.Struct, frozen=True):
    """The payload."""

    iss: str
    aud: str
    iat: int
    """Seconds since 1970 (RFC 7519 NumericDate)."""
    request: str
    """SHA-256 of the `Member-Token` of the request, base64url without padding."""
    status: int
    digest: str
    """SHA-256 of the body, base64url without padding."""


_DIGEST: Final = Text("[A-Za-z0-9_-]{43}")
_CLAIMS: Final = Record(
    {
        "aud": FreeText(256),
        "digest": _DIGEST,
        "iat": NUMERIC_DATE,
        "iss": FreeText(256),
        "request": _DIGEST,
        "status": Integer(100, 599),
    }
)


class MemberAnswerSigner:
    """The `AnswerSigner` of this member."""

    def __init__(self, key: KeySigner, did: str, clock: Clock) -> None:
        self._key = key
        self._did = did
        self._clock = clock

    def headers(self, audience: str, request_token: str, status: int, digest: bytes) -> dict[str, str]:
        """Headers that bind an answer to this member and to the request. See `AnswerSigner`."""
        claims = AnswerClaims(
            iss=self._did,
            aud=audience,
            iat=epoch_s(self._clock),
            request=body_digest(request_token.encode("ascii", "replace")),
            status=status,
            digest=to_base64url(digest),
        )
        payload = _CLAIMS.write(msgspec.structs.asdict(claims))
        return {MEMBER_ANSWER_HEADER: self._key.sign(payload, TOKEN_HEADER, typ=TOKEN_TYPE)}


class MemberAnswerCheck:
    """The `AnswerCheck` of this member.

    Args:
        did: This member.
        members: The current members, with the keys that speak for them.
    """

    def __init__(self, did: str, members: Callable[[], Iterable[Member]]) -> None:
        self._did = did
        self._members = members
        self.keys: Final = VerifyingKeys()

    def signature(self, did: str, request: HttpRequest, response: HttpResponse) -> str | None:
        """What proves that a member gave this answer to this request. See `AnswerCheck`."""
        compact = response.headers.get(_HEADER_LOWER)
        if compact is None:
            return None
        claims = self._verified(did, compact)
        token = request.headers.get(MEMBER_TOKEN_HEADER, "")
        is_answer = (
            claims.iss == did
            and claims.aud == self._did
            and claims.status == response.status
            and claims.request == body_digest(token.encode("ascii", "replace"))
        )
        if not is_answer:
            raise _refused("is that of another answer")
        if claims.digest != body_digest(response.body):
            raise _refused("does not fit the body")
        return compact

    def _verified(self, did: str, compact: str) -> AnswerClaims:
        if len(compact) > TOKEN_SIZE_MAX_BYTES:
            raise _refused("is too long")
        member = next((one for one in self._members() if one.did == did), None)
        try:
            jws = read_compact(compact, TOKEN_HEADER)
            claims = AnswerClaims(**_CLAIMS.read(jws.payload))
            jwk = member.key(jws.kid) if member is not None else None
            if jwk is None:
                raise _refused("names a key that the league does not know for this member")
            self.keys.of_jwk(jwk).verify(jws)
        except Refused as error:
            if error.code is Code.RETRIEVAL_ANSWER_INVALID:
                raise
            raise _refused("does not verify") from error
        return claims


def _refused(what: str) -> Refused:
    return Refused(Code.RETRIEVAL_ANSWER_INVALID, f"The {MEMBER_ANSWER_HEADER} header {what}.")
