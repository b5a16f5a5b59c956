"""The cookie that binds a login to the browser in which it began: one for each login.

Its name ends with the beginning of the login's, so that logins in two tabs, or at two marketplaces of one
host with different ports, leave each other alone. Over https it is a `__Host-` cookie (RFC 6265bis, section
4.1.3.2), which no other host can have set. Over plain http, for trying it out, browsers would refuse that.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

_NAME_CHARS: Final = 12
_SECRET_LENGTH_MAX_CHARS: Final = 128


class BindingCookies:
    """The cookies of logins.

    Args:
        is_secure: Whether browsers come by https.
        max_age_s: How long a login may take.
    """

    def __init__(self, max_age_s: int, *, is_secure: bool) -> None:
        self._prefix = "__Host-login-" if is_secure else "login-"
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure else "")
        self._max_age_s = max_age_s

    def header(self, login: str, secret: str) -> str:
        """The value of `Set-Cookie` for a login that begins."""
        return f"{self._name(login)}={secret}{self._attributes}; Max-Age={self._max_age_s}"

    def end(self, login: str) -> str:
        """The value of `Set-Cookie` for a login that is over."""
        return f"{self._name(login)}={self._attributes}; Max-Age=0"

    def secret(self, request: Request, login: str) -> str | None:
        """What the browser that sends a request has for a login; None: nothing."""
        secret = request.cookies.get(self._name(login))
        return secret if secret and len(secret) <= _SECRET_LENGTH_MAX_CHARS else None

    def _name(self, login: str) -> str:
        return f"{self._prefix}{login[:_NAME_CHARS]}"
