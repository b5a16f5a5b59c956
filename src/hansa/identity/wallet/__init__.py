"""A wallet for development: credentials and keys in a folder, offers (OpenID4VCI) and requests (OpenID4VP).

    folder       credentials with their keys
    accepting    having credentials issued
    requests     verifying who asks for what
    dcql         which credentials answer, and what of them is disclosed
    presenting   presentations, encrypted and posted

It keeps to the standards that a wallet for people keeps to, and protects its keys by the permissions of files
alone.
"""

from hansa.identity.wallet.accepting import CredentialOffer, OfferAcceptance, PendingApproval, read_offer
from hansa.identity.wallet.dcql import MatchingCredential, matches
from hansa.identity.wallet.folder import (
    CredentialSummary,
    HeldCredential,
    WalletFolder,
    summary_of,
    wallets_in,
)
from hansa.identity.wallet.presenting import RequestAnswers
from hansa.identity.wallet.requests import VerifierRequest, VerifierRequests

__all__ = [
    "CredentialOffer",
    "CredentialSummary",
    "HeldCredential",
    "MatchingCredential",
    "OfferAcceptance",
    "PendingApproval",
    "RequestAnswers",
    "VerifierRequest",
    "VerifierRequests",
    "WalletFolder",
    "matches",
    "read_offer",
    "summary_of",
    "wallets_in",
]
