"""Verification of credentials that people and machines present, in the formats of EUDI wallets and of DOME.

    formats    `dc+sd-jwt`, `jwt_vc_json` and `mso_mdoc`: read within bounds
    issuers    who signed, and whether that one is trusted for it
    status     revocation and suspension
    mandate    who may do what for which organisation
    identity_documents
               who somebody is who acts for no organisation
    verifier   all of it, in one order
    refusals   one sentence for the person, every step for the operator

Whatever is not understood is refused. Times are seconds since 1970.
"""

from hansa.identity.credentials.formats.device_response import SessionTerms
from hansa.identity.credentials.formats.document import CREDENTIAL_SIZE_MAX_BYTES
from hansa.identity.credentials.issuers.anchors import read_anchors
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.credentials.issuers.registry import ListedIssuers, TrustedIssuers, read_issuers
from hansa.identity.credentials.issuers.trust import IssuerTrust, ProvedIssuer
from hansa.identity.credentials.mandate import Mandate, MandatedMachine, MandatedPerson
from hansa.identity.credentials.refusals import CredentialRefused
from hansa.identity.credentials.replay import PresentationMemory, RecentPresentations
from hansa.identity.credentials.status.lists import StatusLists
from hansa.identity.credentials.verifier import (
    CredentialFormat,
    CredentialVerifier,
    PresentationRequest,
    VerifiedCredential,
    check_power,
    format_of,
)

__all__ = [
    "CREDENTIAL_SIZE_MAX_BYTES",
    "CredentialFormat",
    "CredentialRefused",
    "CredentialVerifier",
    "DidKeys",
    "IssuerTrust",
    "ListedIssuers",
    "Mandate",
    "MandatedMachine",
    "MandatedPerson",
    "PresentationMemory",
    "PresentationRequest",
    "ProvedIssuer",
    "RecentPresentations",
    "SessionTerms",
    "StatusLists",
    "TrustedIssuers",
    "VerifiedCredential",
    "check_power",
    "format_of",
    "read_anchors",
    "read_issuers",
]
