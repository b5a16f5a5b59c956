"""Issuing of mandates: a small issuer (OpenID4VCI 1.0) with which an operator makes first credentials.

    orders           what an operator orders
    configurations   kinds of credentials, and the issuer's metadata
    issuer           offers, tokens, credentials
    authorizing      codes that a person approves, for wallets
    proofs           that a wallet has the key that a credential is bound to
    rules            what the settings decide
    requests         what wallets request
    formats          writing `dc+sd-jwt` and `jwt_vc_json`
    authority        the seals of organisations, certified for development
    status_lists     revocation and suspension

For development: one machine has the seals of all organisations. `hansa.identity.credentials` verifies what is
issued here as it does everything else.
"""

from hansa.identity.issuing.authority import AUTHORITY_CERTIFICATE, DevelopmentAuthority
from hansa.identity.issuing.authorizing import CodeRequest, may_approve
from hansa.identity.issuing.configurations import authorization_server_metadata, issuer_metadata
from hansa.identity.issuing.issuer import CredentialIssuer, NewOffer
from hansa.identity.issuing.orders import FORMS, CredentialForm, MandateOrder, OrderedPower, power_of
from hansa.identity.issuing.refusals import IssuingRefused
from hansa.identity.issuing.rules import ATTESTATIONS, IssuingRules
from hansa.identity.issuing.status_lists import STATUSES, CredentialStatus, PublishedLists, SignedList

__all__ = [
    "ATTESTATIONS",
    "AUTHORITY_CERTIFICATE",
    "FORMS",
    "STATUSES",
    "CodeRequest",
    "CredentialForm",
    "CredentialIssuer",
    "CredentialStatus",
    "DevelopmentAuthority",
    "IssuingRefused",
    "IssuingRules",
    "MandateOrder",
    "NewOffer",
    "OrderedPower",
    "PublishedLists",
    "SignedList",
    "authorization_server_metadata",
    "issuer_metadata",
    "may_approve",
    "power_of",
]
