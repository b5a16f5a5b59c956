"""Trusted issuers in the form of EBSI's Trusted Issuers Registry, versions 4 and 5.

    /trusted-issuers-registry/v4/issuers?page[size]=&page[after]=       all, a page at a time
    /trusted-issuers-registry/v4/issuers/{did}                          one, with its attributes
    /trusted-issuers-registry/v5/issuers?page[size]=&page[after]=       as in version 4
    /trusted-issuers-registry/v5/issuers/{did}                          one, with a link to its attributes
    /trusted-issuers-registry/v5/issuers/{did}/attributes               their links, a page at a time
    /trusted-issuers-registry/v5/issuers/{did}/attributes/{id}          one attribute

An attribute says what credentials of one type the issuer may issue, from when to when, with which claims: its
`body` is base64 of JSON, its `hash` and identifier are SHA-256 of the body. `page[after]` is the number of a
page, from 1, as EBSI has it. A league has no accreditation organisations: what stands here was decided by
vote, and `tao` and `rootTao` name the issuer itself. What does not exist is answered with a problem document
(RFC 9457), as EBSI does.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.core.clock import rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_did
from hansa.core.limits import Limits
from hansa.core.trust.issuers import TRUSTED_ISSUER, TRUSTED_ISSUERS, CredentialGrant, TrustedIssuer
from hansa.pubsub.bus import BusReads
from hansa.replication.registry import MemberRegistry

REGISTRY_PATH: Final = "/trusted-issuers-registry"
PROBLEM: Final = "application/problem+json"
PAGE_SIZE: Final = 10
PAGE_SIZE_MAX: Final = 50
PAGES_MAX: Final = 1_000_000
_ATTRIBUTE: Final = re.compile("[0-9a-f]{64}", re.ASCII)


class IssuerAttribute(msgspec.Struct, frozen=True):
    """What an issuer may issue, as EBSI writes it."""

    hash: str
    """SHA-256 of `body`, in hex."""
    body: str
    """Base64 of JSON: `validFor`, `credentialsType` and `claims`."""
    issuerType: str  # noqa: N815 - EBSI's name
    """Always `TI`: a trusted issuer."""
    tao: str
    """DID of the accreditation organisation: the issuer itself."""
    rootTao: str  # noqa: N815 - EBSI's name
    """DID of the root of accreditation: the issuer itself."""


class IssuerEntry(msgspec.Struct, frozen=True):
    """An issuer in a list."""

    did: str
    href: str
    """Address of the issuer in this registry."""


class AttributeEntry(msgspec.Struct, frozen=True):
    """An attribute in a list."""

    id: str
    """SHA-256 of the attribute's body, in hex."""
    href: str
    """Address of the attribute in this registry."""


class PageLinks(msgspec.Struct, frozen=True):
    """Addresses of other pages of a list."""

    first: str
    """Address of the first page."""
    prev: str
    """Address of the page before; of the first one on the first."""
    next: str
    """Address of the page after; of the last one on the last."""
    last: str
    """Address of the last page."""


class RegistryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list."""

    self: str
    """Address of this page."""
    total: int
    """How many entries the list has."""
    pageSize: int  # noqa: N815 - EBSI's name
    """How many entries a page has at most."""
    links: PageLinks
    """Addresses of other pages of the list."""


class IssuersPage(RegistryPage, frozen=True, kw_only=True):
    """Some issuers."""

    items: tuple[IssuerEntry, ...]
    """In the order of their DIDs."""


class AttributesPage(RegistryPage, frozen=True, kw_only=True):
    """Some attributes of an issuer."""

    items: tuple[AttributeEntry, ...]
    """In the order in which the league recorded them."""


class IssuerWithAttributes(msgspec.Struct, frozen=True):
    """An issuer in version 4."""

    did: str
    attributes: tuple[IssuerAttribute, ...]
    """What it may issue."""


class IssuerReference(msgspec.Struct, frozen=True):
    """An issuer in version 5."""

    did: str
    attributes: str
    """Address of the list of its attributes."""
    hasAttributes: bool  # noqa: N815 - EBSI's name
    """Always true: an issuer that may issue nothing is not recorded."""


class AttributeOfIssuer(msgspec.Struct, frozen=True):
    """An attribute in version 5."""

    did: str
    """DID of the issuer."""
    attribute: IssuerAttribute
    """What it may issue."""


class RegistryProblem(msgspec.Struct, frozen=True):
    """What does not exist (RFC 9457)."""

    title: str
    """What is missing."""
    status: int
    """Status of the answer, which is 404."""
    type: str
    """Type of the problem, which is always `about:blank`."""
    detail: str
    """Which one is missing."""


class TrustedIssuersApi:
    """Serves the registry of trusted issuers.

    Args:
        bus: Reads the ledger.
        registry: Has this marketplace's address.
        did: This marketplace's own.
        limits: Of queries.
    """

    def __init__(self, bus: BusReads, registry: MemberRegistry, did: str, limits: Limits) -> None:
        self._bus = bus
        self._registry = registry
        self._did = did
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET …/v4/issuers` and `…/v5/issuers`."""
        size, number = self._page(request)
        base = await self._base(request) + "/issuers"
        page = await self._bus.record_page(TRUSTED_ISSUERS, (number - 1) * size, size)
        items = tuple(IssuerEntry(did, f"{base}/{quote(did, safe=':')}") for did, _ in page.records)
        return _answer(request, IssuersPage(items=items, **_paging(base, number, size, page.total)))

    async def one_with_attributes(self, request: Request) -> Response:
        """`GET …/v4/issuers/{did}`."""
        Parameters(request, (), self._limits)
        issuer = await self._issuer(request)
        if issuer is None:
            return _not_found(request)
        attributes = tuple(_attribute(issuer, grant) for grant in issuer.credentials)
        return _answer(request, IssuerWithAttributes(issuer.did, attributes))

    async def one(self, request: Request) -> Response:
        """`GET …/v5/issuers/{did}`."""
        Parameters(request, (), self._limits)
        issuer = await self._issuer(request)
        if issuer is None:
            return _not_found(request)
        address = await self._attributes_address(request, issuer)
        return _answer(request, IssuerReference(issuer.did, address, hasAttributes=True))

    async def attributes(self, request: Request) -> Response:
        """`GET …/v5/issuers/{did}/attributes`."""
        size, number = self._page(request)
        issuer = await self._issuer(request)
        if issuer is None:
            return _not_found(request)
        base = await self._attributes_address(request, issuer)
        every = [_attribute(issuer, grant).hash for grant in issuer.credentials]
        names = every[(number - 1) * size : number * size]
        items = tuple(AttributeEntry(name, f"{base}/{name}") for name in names)
        return _answer(request, AttributesPage(items=items, **_paging(base, number, size, len(every))))

    async def attribute(self, request: Request) -> Response:
        """`GET …/v5/issuers/{did}/attributes/{id}`."""
        Parameters(request, (), self._limits)
        issuer = await self._issuer(request)
        if _ATTRIBUTE.fullmatch(request.path_params["id"]) is None:
            raise Refused(Code.INVALID, "The path does not name an attribute: 64 hexadecimal digits.")
        attributes = [] if issuer is None else [_attribute(issuer, grant) for grant in issuer.credentials]
        named = [one for one in attributes if one.hash == request.path_params["id"]]
        if issuer is None or not named:
            return _not_found(request)
        return _answer(request, AttributeOfIssuer(issuer.did, named[0]))

    def _page(self, request: Request) -> tuple[int, int]:
        """Size and number of the page that is requested."""
        parameters = Parameters(request, {"page[size]", "page[after]"}, self._limits)
        size = parameters.number("page[size]", PAGE_SIZE, 1, PAGE_SIZE_MAX)
        return size, parameters.number("page[after]", 1, 1, PAGES_MAX)

    async def _base(self, request: Request) -> str:
        """Address of the registry in the version of the request, at this marketplace."""
        members = await self._registry.members()
        endpoint = next((member.endpoint for member in members if member.did == self._did), "")
        version = request.url.path[len(REGISTRY_PATH) + 1 :].partition("/")[0]
        return f"{endpoint}{REGISTRY_PATH}/{version}"

    async def _attributes_address(self, request: Request, issuer: TrustedIssuer) -> str:
        return f"{await self._base(request)}/issuers/{quote(issuer.did, safe=':')}/attributes"

    async def _issuer(self, request: Request) -> TrustedIssuer | None:
        did = request.path_params["did"]
        if not is_did(did):
            raise Refused(Code.INVALID, "The path does not name a DID.")
        body = await self._bus.record(TRUSTED_ISSUERS, did)
        return None if body is None else TRUSTED_ISSUER.read(body)


def _attribute(issuer: TrustedIssuer, grant: CredentialGrant) -> IssuerAttribute:
    """What an issuer may issue, in the form that FIWARE's and EBSI's verifiers read."""
    content = {
        "validFor": {"from": rfc3339_at_ms(1000 * grant.from_s), "to": rfc3339_at_ms(1000 * grant.until_s)},
        "credentialsType": grant.type,
        "claims": [
            {
                "name": claim.name,
                "path": claim.path or f"$.{claim.name}",
                **({"allowedValues": claim.values} if claim.values else {}),
            }
            for claim in grant.claims
        ],
    }
    body = base64.b64encode(msgspec.json.encode(content)).decode("ascii")
    digest = hashlib.sha256(body.encode("ascii")).hexdigest()
    return IssuerAttribute(digest, body, "TI", issuer.did, issuer.did)


def _paging(base: str, number: int, size: int, total: int) -> dict[str, Any]:
    """What a page says of itself and of the others."""
    last = max(1, -(-total // size))

    def address(page: int) -> str:
        return f"{base}?page[after]={page}&page[size]={size}"

    links = PageLinks(
        address(1), address(min(max(1, number - 1), last)), address(min(number + 1, last)), address(last)
    )
    return {"self": address(number), "total": total, "pageSize": size, "links": links}


def _answer(request: Request, content: Any) -> Response:
    """200 with JSON and an ETag, or 304."""
    body = msgspec.json.encode(content)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "max-age=60"}
    if tag in _tags(request.headers.getlist("if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _tags(headers: Sequence[str]) -> set[str]:
    return {tag.strip().removeprefix("W/") for header in headers for tag in header.split(",")}


def _not_found(request: Request) -> Response:
    did, name = request.path_params["did"], request.path_params.get("id")
    title = "Issuer Not Found" if name is None else "Attribute Not Found"
    which = f"Issuer {did}" if name is None else f"Attribute {name} of issuer {did}"
    problem = RegistryProblem(title, HTTPStatus.NOT_FOUND, "about:blank", f"{which[:512]} not found")
    return Response(msgspec.json.encode(problem), HTTPStatus.NOT_FOUND, media_type=PROBLEM)
