"""Scopes: what a client asks for in somebody's name, and what of a credential's rights they open.

| scope | opens |
|---|---|
| `openid` | an ID token, and `userinfo` |
| `profile`, `email` | name and organisation; the address in the credential |
| `read` | reading in the APIs what this person may read |
| `write` | `read`, and the powers of the credential |
| `learcredential` | as `write`; what DOME's clients ask for |
| `operate` | what operators may do, for those who are operators |
| `offline_access` | nothing more: refresh tokens follow from the registration of the client |

A scope never adds a right: it takes away what is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from hansa.core.access import OPERATOR, PROVIDER, READER, READERS, WRITERS, Caller
from hansa.identity.principal import Principal, caller_of

OPENID: Final = "openid"
PROFILE: Final = "profile"
EMAIL: Final = "email"
READ: Final = "read"
WRITE: Final = "write"
LEAR_CREDENTIAL: Final = "learcredential"
OPERATE: Final = "operate"
OFFLINE_ACCESS: Final = "offline_access"
SCOPES: Final = (OPENID, PROFILE, EMAIL, READ, WRITE, LEAR_CREDENTIAL, OPERATE, OFFLINE_ACCESS)

_WRITING: Final = frozenset({WRITE, LEAR_CREDENTIAL})
_ANY_ACCESS: Final = frozenset({READ, OPERATE, *_WRITING})
_SCOPE_TEXT: Final = re.compile("[!#-\\[\\]-~]{1,64}(?: [!#-\\[\\]-~]{1,64}){0,31}", re.ASCII)


def read_scope(text: str) -> tuple[str, ...] | None:
    """The scopes that a text names, each once, in the order of `SCOPES`; None when it is no list of any.

    Unknown ones are left out (OpenID Connect Core, 3.1.2.1).
    """
    if not text:
        return ()
    if _SCOPE_TEXT.fullmatch(text) is None:
        return None
    named = set(text.split(" "))
    return tuple(one for one in SCOPES if one in named)


def limited_caller(principal: Principal, scopes: Iterable[str], member: str = "") -> Caller:
    """The caller that a token of these scopes is, of somebody, perhaps on the word of a member."""
    named = set(scopes)
    caller = msgspec.structs.replace(caller_of(principal), member=member or None)
    if not named & _ANY_ACCESS:
        return Caller(subject=caller.subject, member=caller.member)
    powers = caller.powers if named & {*_WRITING, OPERATE} else ()
    return msgspec.structs.replace(caller, roles=limited_roles(caller.roles, named), powers=powers)


def limited_roles(roles: frozenset[str], scopes: Iterable[str]) -> frozenset[str]:
    """What of some roles these scopes open: an operator who does not operate writes as a provider does."""
    named = set(scopes)
    if OPERATE in named and OPERATOR in roles:
        return frozenset({OPERATOR, *(roles & {PROVIDER} if named & _WRITING else ())})
    if named & _WRITING and roles & WRITERS:
        return frozenset({PROVIDER})
    return frozenset({READER}) if named & _ANY_ACCESS and roles & READERS else frozenset()
