"""What the paths about trust do, for their description: `hansa.api.trust`."""

from __future__ import annotations

from typing import Final

from hansa.api.descriptions.document import Answer, Link, Operation
from hansa.api.trust.decisions import AnchorReport, CertificatesPage
from hansa.api.trust.issuers import (
    PROBLEM,
    REGISTRY_PATH,
    AttributeOfIssuer,
    AttributesPage,
    IssuerReference,
    IssuersPage,
    IssuerWithAttributes,
    RegistryProblem,
)
from hansa.core.trust.policies import PolicyTable

_ERRORS: Final = (400, 429, 500, 503)
_ETAG: Final = ("ETag",)
_UNCHANGED: Final = Answer("The client has it already.", media_types=(), headers=_ETAG)
_MISSING: Final = Answer("There is none.", (RegistryProblem,), (PROBLEM,))
_PAGES: Final = ("pageSize", "pageAfter", "If-None-Match")
_EVERY: Final = "Returns the issuers of credentials that the members decided to trust, a page at a time."

TRUST_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "listAnchors",
        "/league/v1/anchors",
        "List the trust anchors of the league",
        "Returns the authorities whose certificates for seals the members decided to accept.",
        {200: Answer("All of them.", (tuple[AnchorReport, ...],))},
        _ERRORS,
    ),
    Operation(
        "listCertificates",
        "/league/v1/certificates",
        "List the certificates of members' keys",
        "Returns the certificates that were verified when keys were registered, and whether they are valid.",
        {200: Answer("Some of them.", (CertificatesPage,))},
        _ERRORS,
        parameters=("offset", "limit"),
    ),
    Operation(
        "retrievePolicies",
        "/league/v1/policies",
        "Read the distribution policies of the league",
        "Returns the table that decides what may be published, by whom. The first row that applies decides; "
        "when none applies, it is allowed.",
        {200: Answer("The table.", (PolicyTable,))},
        _ERRORS,
    ),
    Operation(
        "listTrustedIssuersV4",
        f"{REGISTRY_PATH}/v4/issuers",
        "List trusted issuers (EBSI, version 4)",
        _EVERY,
        {200: Answer("A page.", (IssuersPage,), headers=_ETAG), 304: _UNCHANGED},
        _ERRORS,
        parameters=_PAGES,
    ),
    Operation(
        "retrieveTrustedIssuerV4",
        f"{REGISTRY_PATH}/v4/issuers/{{did}}",
        "Read a trusted issuer (EBSI, version 4)",
        "Returns an issuer with what it may issue: an attribute for each type of credentials.",
        {200: Answer("The issuer.", (IssuerWithAttributes,), headers=_ETAG), 304: _UNCHANGED, 404: _MISSING},
        _ERRORS,
        parameters=("did", "If-None-Match"),
    ),
    Operation(
        "listTrustedIssuersV5",
        f"{REGISTRY_PATH}/v5/issuers",
        "List trusted issuers (EBSI, version 5)",
        _EVERY,
        {
            200: Answer(
                "A page.",
                (IssuersPage,),
                headers=_ETAG,
                links=(
                    Link("retrieveTrustedIssuerV5", "did", "$response.body#/items/0/did", "One of them."),
                ),
            ),
            304: _UNCHANGED,
        },
        _ERRORS,
        parameters=_PAGES,
    ),
    Operation(
        "retrieveTrustedIssuerV5",
        f"{REGISTRY_PATH}/v5/issuers/{{did}}",
        "Read a trusted issuer (EBSI, version 5)",
        "Returns an issuer with the address of its attributes.",
        {200: Answer("The issuer.", (IssuerReference,), headers=_ETAG), 304: _UNCHANGED, 404: _MISSING},
        _ERRORS,
        parameters=("did", "If-None-Match"),
    ),
    Operation(
        "listIssuerAttributesV5",
        f"{REGISTRY_PATH}/v5/issuers/{{did}}/attributes",
        "List what a trusted issuer may issue",
        "Returns the addresses of an issuer's attributes, a page at a time.",
        {200: Answer("A page.", (AttributesPage,), headers=_ETAG), 304: _UNCHANGED, 404: _MISSING},
        _ERRORS,
        parameters=("did", *_PAGES),
    ),
    Operation(
        "retrieveIssuerAttributeV5",
        f"{REGISTRY_PATH}/v5/issuers/{{did}}/attributes/{{id}}",
        "Read what a trusted issuer may issue",
        "Returns one attribute of an issuer: a type of credentials, from when to when, with which claims.",
        {200: Answer("The attribute.", (AttributeOfIssuer,), headers=_ETAG), 304: _UNCHANGED, 404: _MISSING},
        _ERRORS,
        parameters=("did", "attributeId", "If-None-Match"),
    ),
)
"""Of every path of `hansa.api.trust`."""
