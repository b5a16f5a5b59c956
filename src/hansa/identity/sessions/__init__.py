"""Browser sessions: who is logged in here with a browser, in a cookie that means nothing to anybody else.

`interface` says what a session is, and what logins, pages and forms need of it; `browser_sessions` has them,
`cookies` and `forms` are what a browser shows. `authenticate` makes a session the caller of a request, and
`return_paths` says where a browser may be sent after a login. `status_watch` ends the sessions of credentials
that were revoked.
"""

from hansa.identity.sessions.authenticate import SessionAuthenticate
from hansa.identity.sessions.browser_sessions import BrowserSessions
from hansa.identity.sessions.cookies import SessionCookie
from hansa.identity.sessions.forms import CSRF_HEADER, PURPOSE, Forms
from hansa.identity.sessions.interface import Headers, LoggedIn, OnLogin, Session, Sessions
from hansa.identity.sessions.return_paths import RETURN_PATH_MAX_CHARS, local_path
from hansa.identity.sessions.status_watch import StatusWatch

__all__ = [
    "CSRF_HEADER",
    "PURPOSE",
    "RETURN_PATH_MAX_CHARS",
    "BrowserSessions",
    "Forms",
    "Headers",
    "LoggedIn",
    "OnLogin",
    "Session",
    "SessionAuthenticate",
    "SessionCookie",
    "Sessions",
    "StatusWatch",
    "local_path",
]
