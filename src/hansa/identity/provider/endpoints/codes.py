"""Authorization codes: good once, for a minute, for the client and the verifier that they were made for.

A code that is shown twice was stolen by one of the two who show it: what came of it ends (RFC 6749, section
4.1.2). A used code is remembered for as long as tokens are that came of it. Codes are of this process alone:
after a restart a login that was under way begins anew.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.identifiers import Entropy
from hansa.identity.bindings import secret_digest
from hansa.identity.provider.oauth_errors import invalid_grant
from hansa.identity.provider.tokens.access_tokens import Authorized

CODE_LIFETIME_S: Final = 60
CODES_MAX: Final = 50_000
CODES_PER_SUBJECT_MAX: Final = 100


class CodeGrant(msgspec.Struct, frozen=True):
    """What a code is good for."""

    authorized: Authorized
    redirect_uri: str
    code_challenge: str
    """Empty: the client does without PKCE."""
    family: str
    """The name of the tokens that come of it."""
    nonce: str = ""
    expires_s: float = 0.0
    """By the clock that is never set."""


class CodeReusedError(Exception):
    """A code was shown a second time; the tokens of its family have to end."""

    def __init__(self, family: str) -> None:
        super().__init__("a code was used twice")
        self.family = family


class Codes:
    """The codes. To be used on one event loop. Bounded.

    Args:
        clock: For their lifetime.
        entropy: For codes.
        retained_s: How long a used code is remembered.
    """

    def __init__(self, clock: Clock, entropy: Entropy, retained_s: float, count_max: int = CODES_MAX) -> None:
        self._clock = clock
        self._entropy = entropy
        self._retained_s = retained_s
        self._count_max = count_max
        self._codes: dict[bytes, CodeGrant] = {}
        """Not used yet, by their digests, in the order of their ends."""
        self._used: dict[bytes, tuple[float, str]] = {}
        """Until when a used code is remembered, and its family; in the order of their use."""
        self._counts: dict[str, int] = {}
        """Codes that are not used yet, by subject."""

    def issue(self, grant: CodeGrant) -> str:
        """A code for a grant.

        Raises:
            Unavailable: `Code.OVERLOADED`, when this person, or all together, have too many.
        """
        now_s = self._clock.monotonic()
        while self._codes and next(iter(self._codes.values())).expires_s <= now_s:
            self._take(next(iter(self._codes)))
        while self._used and next(iter(self._used.values()))[0] <= now_s:
            del self._used[next(iter(self._used))]
        subject = grant.authorized.principal.subject
        count = self._counts.get(subject, 0)
        if len(self._codes) >= self._count_max or count >= CODES_PER_SUBJECT_MAX:
            raise Unavailable(Code.OVERLOADED, "Too many logins at a time.", float(CODE_LIFETIME_S))
        self._counts[subject] = count + 1
        code = to_base64url(self._entropy(32))
        self._codes[secret_digest(code)] = msgspec.structs.replace(grant, expires_s=now_s + CODE_LIFETIME_S)
        return code

    def use(self, code: str, client: str, redirect_uri: str, verifier: str) -> CodeGrant:
        """What a code is good for; it is good no more, whatever comes of this.

        Raises:
            OAuthRefused: `invalid_grant`.
            CodeReusedError: It was used before, by the same client.
        """
        name = secret_digest(code)
        used = self._used.get(name)
        if used is not None:
            raise CodeReusedError(used[1])
        grant = self._codes.get(name)
        now_s = self._clock.monotonic()
        if grant is None or grant.authorized.client != client or grant.expires_s <= now_s:
            raise invalid_grant("The code is unknown, has expired, or is of another client.")
        self._take(name)
        if len(self._used) >= 4 * self._count_max:
            del self._used[next(iter(self._used))]
        self._used[name] = (now_s + self._retained_s, grant.family)
        if redirect_uri != grant.redirect_uri:
            raise invalid_grant("The code was made for another redirect_uri.")
        if not _is_verifier(verifier, grant.code_challenge):
            raise invalid_grant("code_verifier is not the one of the code (PKCE).")
        return grant

    def _take(self, name: bytes) -> None:
        subject = self._codes.pop(name).authorized.principal.subject
        self._counts[subject] -= 1
        if not self._counts[subject]:
            del self._counts[subject]


def _is_verifier(verifier: str, challenge: str) -> bool:
    """Whether a verifier is that of a challenge; of a code without one there is none (RFC 9700, 2.1.1)."""
    if not challenge:
        return not verifier
    if CODE_VERIFIER_PATTERN.fullmatch(verifier) is None:
        return False
    return hmac.compare_digest(create_s256_code_challenge(verifier), challenge)
