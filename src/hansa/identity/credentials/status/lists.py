"""Status lists of issuers: fetched, verified, cached within their life, and looked up. It fails closed.

A credential is good when its issuer's list says so now. In every other case it is refused: the list cannot be
fetched, is not signed, is signed by another than the credential's issuer, is a list of another address, has
ended, cannot be unpacked, or has no such entry. The last verified answer is used until the list itself says
that it is out of date (`exp`, `ttl`), an hour at most; after that, an issuer that cannot be reached is one
whose credentials cannot be used.

    https alone, unless the operator allows http    the address comes from the credential
    no redirects, a bound on bytes and time         `HttpClient`
    `typ` of a list's token                         so that no other token of the issuer passes as a list
    the list names its own address                  so that no list passes for another one
    a failure counts for some seconds               so that nobody makes us knock on a door
    one fetch at a time of one address              whoever comes meanwhile waits for it
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.core.base64url import from_base64url
from hansa.core.cache import Cache
from hansa.core.certificates.extensions import MDOC_PURPOSES
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.http import HttpClient, HttpRequest
from hansa.identity.credentials.formats.cwt import is_cwt
from hansa.identity.credentials.formats.document import (
    StatusForm,
    check_header,
    read_claims,
    read_jws,
    text_claim,
)
from hansa.identity.credentials.formats.jwt_vc import read_jwt_vc
from hansa.identity.credentials.issuers.trust import IssuerTrust, ProvedIssuer
from hansa.identity.credentials.refusals import Steps
from hansa.identity.credentials.status.cwt_lists import read_identifier_list, read_status_list
from hansa.identity.credentials.status.encoding import (
    BITSTRING_MIN_BYTES,
    StatusArray,
    bitstring_status_array,
    token_status_array,
    unknown,
)
from hansa.identity.credentials.status.references import HeldStatus, StatusReference, read_reference
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, Validity, numeric_date

LIST_TOKEN_SIZE_MAX_BYTES: Final = 4_194_304
LIST_LIFE_MAX_S: Final = 3600
FAILURE_LIFE_S: Final = 15
FETCH_TIMEOUT_S: Final = 5.0
LISTS_MAX_BYTES: Final = 67_108_864
_OVERHEAD_BYTES: Final = 512
_IDENTIFIER_BYTES: Final = 160
"""What one in a set takes."""

_TOKEN_TYPE: Final = frozenset({"statuslist+jwt"})
_BITSTRING_TYPE: Final = "BitstringStatusListCredential"
_ACCEPTED: Final = {
    "token": "application/statuslist+jwt",
    "cwt": "application/statuslist+cwt, application/statuslist+jwt;q=0.5",
    "identifiers": "application/identifierlist+cwt",
    "bitstring": "application/vc+jwt, application/vc+ld+jwt, application/jwt",
}
_MEANINGS: Final = {0: "valid", 1: "invalid", 2: "suspended"}


class _List(msgspec.Struct, frozen=True):
    """A list that was verified, or why there is none."""

    until_s: int
    """When it has to be fetched again."""
    issuer: str = ""
    purposes: tuple[str, ...] = ()
    array: StatusArray | None = None
    identifiers: frozenset[bytes] | None = None
    """Of those that are revoked, of an identifier list."""
    anchor: str = ""
    """To which the certificate of a CWT leads."""
    failure: str = ""

    @property
    def size(self) -> int:
        """Bytes in the cache."""
        identifiers = len(self.identifiers or ()) * _IDENTIFIER_BYTES
        return _OVERHEAD_BYTES + identifiers + (len(self.array.content) if self.array is not None else 0)

    def is_for(self, held: HeldStatus) -> bool:
        """Whether it is one for credentials of an issuer: of the same, or, for an mdoc, of its authority."""
        return self.issuer == held.issuer or (self.anchor != "" and self.anchor == held.anchor)

    def value(self, reference: StatusReference) -> int:
        """The status of a credential.

        Raises:
            Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`, when the list has none.
        """
        if self.identifiers is not None:
            return int(from_base64url(reference.identifier) in self.identifiers)
        if self.array is None:
            raise unknown(f"the status list {reference.uri} cannot be used: {self.failure}")
        return self.array.at(reference.index)


class StatusLists:
    """Looks up statuses. To be used on one event loop.

    Args:
        http: Fetches lists.
        trust: Says who signed one.
        allow_http: Whether lists may be fetched without TLS, as on a machine for development.
    """

    def __init__(self, http: HttpClient, trust: IssuerTrust, *, allow_http: bool = False) -> None:
        self._http = http
        self._trust = trust
        self._schemes = ("https://", "http://") if allow_http else ("https://",)
        self._fetching: dict[tuple[str, str, str], asyncio.Future[_List]] = {}
        self.cache: Final[Cache[tuple[str, str, str], _List]] = Cache(
            "status_lists", LISTS_MAX_BYTES, size_of=lambda one: one.size
        )

    async def check(
        self,
        entries: Sequence[Any],
        issuer: ProvedIssuer,
        now_s: int,
        steps: Steps,
        form: StatusForm = "jose",
    ) -> HeldStatus | None:
        """Check that a credential is neither revoked nor suspended.

        Args:
            entries: What it says about where its status is.
            issuer: Of the credential.
            now_s: Seconds since 1970.
            steps: Gets what each check showed.
            form: Of the credential.

        Returns:
            Where the status is; None: there is none.

        Raises:
            Refused: `Code.CREDENTIAL_REVOKED`, `Code.CREDENTIAL_SUSPENDED`, or
                `Code.CREDENTIAL_STATUS_UNKNOWN`, when it cannot be told.
        """
        read = (read_reference(one, form) for one in entries)
        references = tuple(one for one in read if one is not None)
        held = HeldStatus(issuer.id, references, issuer.anchor if form == "cose" else "")
        await self.check_again(held, now_s, steps)
        return held if references else None

    async def check_again(self, held: HeldStatus, now_s: int, steps: Steps) -> None:
        """Check that a credential which was accepted is still neither revoked nor suspended. See `check`."""
        for reference in held.references:
            value = await self._value(reference, held, now_s)
            where = f"entry {reference.identifier or reference.index} of {reference.uri}"
            steps.note(f"status {value} ({_MEANINGS.get(value, 'not defined')}) at {where}")
            _check_value(reference, value, where)

    async def _value(self, reference: StatusReference, held: HeldStatus, now_s: int) -> int:
        if not reference.uri.lower().startswith(self._schemes):
            raise unknown(f"the address of the status list is not one of https: {reference.uri}")
        status_list = await self._list(reference, held.issuer, now_s)
        if status_list.failure:
            raise unknown(f"the status list {reference.uri} cannot be used: {status_list.failure}")
        if not status_list.is_for(held):
            raise unknown(
                f"the status list {reference.uri} is one of {status_list.issuer}, and the credential one of "
                f"{held.issuer}"
            )
        if reference.purpose and reference.purpose not in status_list.purposes:
            raise unknown(f"the status list {reference.uri} is not for {reference.purpose}")
        return status_list.value(reference)

    async def _list(self, reference: StatusReference, expected: str, now_s: int) -> _List:
        """The list of a reference, as it is for credentials of one issuer."""
        key = (reference.kind, reference.uri, expected)
        cached = self.cache.get(key)
        if cached is not None and now_s < cached.until_s:
            return cached
        if cached is not None:
            self.cache.reject(key)
        current = self._fetching.get(key)
        if current is not None:
            return await asyncio.shield(current)
        future = self._fetching[key] = asyncio.get_running_loop().create_future()
        try:
            result = await self._fetched(reference, expected, now_s)
            self.cache.put(key, result)
            future.set_result(result)
        finally:
            del self._fetching[key]
            if not future.done():
                future.set_result(_List(now_s, failure="fetching it was interrupted"))
        return result

    async def _fetched(self, reference: StatusReference, expected: str, now_s: int) -> _List:
        request = HttpRequest(
            "GET",
            reference.uri,
            {"accept": _ACCEPTED[reference.kind]},
            timeout_s=FETCH_TIMEOUT_S,
            answer_size_max_bytes=LIST_TOKEN_SIZE_MAX_BYTES,
        )
        try:
            response = await self._http.send(request)
            is_binary = reference.kind == "identifiers" or (reference.kind == "cwt" and is_cwt(response.body))
            if response.status != 200 or not (is_binary or response.body.isascii()):
                raise unknown(f"the answer has the status {response.status}, or is no token")
            if is_binary:
                return await self._cwt_list(response.body, reference, now_s)
            text = response.body.decode("ascii").strip()
            if reference.kind != "bitstring":
                return await self._token_list(text, reference, expected, now_s)
            return await self._bitstring_list(text, reference, now_s)
        except HansaError as error:
            return _List(now_s + FAILURE_LIFE_S, failure=error.message)

    async def _token_list(self, text: str, reference: StatusReference, expected: str, now_s: int) -> _List:
        """The list in a Status List Token (draft-ietf-oauth-status-list, section 5.1).

        It need not name its issuer: then certificates say who that is, or the expected one's keys.
        """
        jws = read_jws(text, LIST_TOKEN_SIZE_MAX_BYTES)
        check_header(jws, _TOKEN_TYPE, frozenset())
        claims = read_claims(jws.payload, LIST_TOKEN_SIZE_MAX_BYTES)
        if claims.get("sub") != reference.uri:
            raise unknown("it is the list of another address (`sub`)")
        issued_s = numeric_date(claims, "iat")
        if issued_s is None:
            raise unknown("it does not say when it was issued (`iat`)")
        validity = Validity((issued_s, numeric_date(claims, "nbf")), (numeric_date(claims, "exp"),))
        _check_current(validity, now_s)
        claimed = text_claim(claims, "iss") or (None if "x5c" in jws.header else expected)
        issuer = await self._trust.signer(jws, claimed, now_s, Steps())
        content = claims.get("status_list")
        if not isinstance(content, dict):
            raise unknown("it has no list (`status_list`)")
        array = token_status_array(content.get("bits"), content.get("lst"))
        return _List(_until_s(validity, claims.get("ttl"), now_s), issuer.id, array=array)

    async def _cwt_list(self, raw: bytes, reference: StatusReference, now_s: int) -> _List:
        """The list in a CWT, signed under some anchor; whether under the credential's, is checked later."""
        is_status = reference.kind == "cwt"
        listed = read_status_list(raw) if is_status else read_identifier_list(raw)
        if listed.uri != reference.uri:
            raise unknown("it is the list of another address (`sub`)")
        _check_current(listed.validity, now_s)
        issuer = await self._trust.signer(listed.jws, None, now_s, Steps(), MDOC_PURPOSES)
        return _List(
            _until_s(listed.validity, listed.ttl_s, now_s),
            issuer.id,
            array=listed.array,
            identifiers=None if is_status else listed.identifiers,
            anchor=issuer.anchor,
        )

    async def _bitstring_list(self, text: str, reference: StatusReference, now_s: int) -> _List:
        """The list in a Bitstring Status List credential (W3C), secured as a JWT."""
        document = read_jwt_vc(text, LIST_TOKEN_SIZE_MAX_BYTES)
        if document.types != (_BITSTRING_TYPE,) or document.subject.get("type") != "BitstringStatusList":
            raise unknown("it is no Bitstring Status List")
        if (
            document.id != reference.uri
            and str(document.subject.get("id", "")).partition("#")[0] != reference.uri
        ):
            raise unknown("it is the list of another address (`id`)")
        _check_current(document.validity, now_s)
        issuer = await self._trust.signer(document.jws, document.issuer, now_s, Steps())
        array = bitstring_status_array(document.subject.get("encodedList"))
        if len(array.content) < BITSTRING_MIN_BYTES:
            raise unknown(f"the list has less than {BITSTRING_MIN_BYTES} bytes")
        ttl_ms = document.subject.get("ttl")
        ttl_s = ttl_ms / 1000 if isinstance(ttl_ms, int) and not isinstance(ttl_ms, bool) else None
        until_s = _until_s(document.validity, ttl_s, now_s)
        return _List(until_s, issuer.id, _purposes(document.subject), array)


def _purposes(subject: Mapping[str, Any]) -> tuple[str, ...]:
    value = subject.get("statusPurpose")
    values = value if isinstance(value, list) else [value]
    return tuple(one for one in values if isinstance(one, str))


def _check_current(validity: Validity, now_s: int) -> None:
    try:
        validity.check(now_s)
    except Refused as error:
        raise unknown(f"it is out of date: {error.message}") from error


def _until_s(validity: Validity, ttl_s: Any, now_s: int) -> int:
    """Until when a list may be used without fetching it again."""
    life_s = LIST_LIFE_MAX_S
    if isinstance(ttl_s, int | float) and not isinstance(ttl_s, bool) and ttl_s >= 0:
        life_s = int(min(life_s, ttl_s))
    end_s = now_s + life_s if validity.end_s is None else min(now_s + life_s, validity.end_s + CLOCK_LEEWAY_S)
    return max(now_s, end_s)


def _check_value(reference: StatusReference, value: int, where: str) -> None:
    if value == 0:
        return
    if reference.kind == "token" and value not in {1, 2}:
        raise unknown(f"the status {value} is not defined, at {where}")
    is_suspended = value == 2 or reference.purpose == "suspension"
    code = Code.CREDENTIAL_SUSPENDED if is_suspended else Code.CREDENTIAL_REVOKED
    raise Refused(code, f"the status is {value}, at {where}")
