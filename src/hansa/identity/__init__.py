"""Identity: who calls this marketplace, and how it proves to others who it is.

`tokens` issues and verifies the bearer tokens of clients of this marketplace's own API (RFC 9068). `requests`
signs the requests that this member sends to other members, and verifies theirs: every retrieval of an entity
from its origin carries such a signature. `answers` signs what this member answers to others, and verifies
what they answer. What a caller may do is decided elsewhere (`hansa.core.access`).
"""

from hansa.core.http import MEMBER_TOKEN_HEADER
from hansa.identity.answers import MemberAnswerCheck, MemberAnswerSigner
from hansa.identity.requests import MemberCallerCheck, MemberSigner
from hansa.identity.tokens import ROLES, TokenAuthenticate, issue_token, reissue_token

__all__ = [
    "MEMBER_TOKEN_HEADER",
    "ROLES",
    "MemberAnswerCheck",
    "MemberAnswerSigner",
    "MemberCallerCheck",
    "MemberSigner",
    "TokenAuthenticate",
    "issue_token",
    "reissue_token",
]
