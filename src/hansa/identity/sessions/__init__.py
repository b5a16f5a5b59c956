"""Browser sessions: who is logged in here with a browser, in a cookie that means nothing to anybody else.

`interface` says what a session is, and what logins, pages and forms need of it; `return_paths`, where a
browser may be sent after a login.
"""

from hansa.identity.sessions.interface import LoggedIn, OnLogin, Session, Sessions
from hansa.identity.sessions.return_paths import RETURN_PATH_MAX_CHARS, local_path

__all__ = [
    "RETURN_PATH_MAX_CHARS",
    "LoggedIn",
    "OnLogin",
    "Session",
    "Sessions",
    "local_path",
]
