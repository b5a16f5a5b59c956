"""Identity: who calls this marketplace, and how it proves to others who it is.

`tokens` issues and verifies the bearer tokens of clients of this marketplace's own API (RFC 9068). `requests`
signs the requests that this member sends to other members, and verifies theirs: every retrieval of an entity
from its origin carries such a signature. What a caller may do is decided elsewhere (`hansa.core.access`).
"""

from hansa.identity.requests import MEMBER_TOKEN_HEADER, MemberCallerCheck, MemberSigner
from hansa.identity.tokens import ROLES, TokenAuthenticate, issue_token, reissue_token

__all__ = [
    "MEMBER_TOKEN_HEADER",
    "ROLES",
    "MemberCallerCheck",
    "MemberSigner",
    "TokenAuthenticate",
    "issue_token",
    "reissue_token",
]
