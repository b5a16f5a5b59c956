"""Who is who: tokens for this marketplace's API, and signed requests between members."""

from hansa.identity.requests import MEMBER_TOKEN_HEADER, MemberCallerCheck, MemberSigner
from hansa.identity.tokens import ROLES, TokenAuthenticate, issue_token

__all__ = [
    "MEMBER_TOKEN_HEADER",
    "ROLES",
    "MemberCallerCheck",
    "MemberSigner",
    "TokenAuthenticate",
    "issue_token",
]
