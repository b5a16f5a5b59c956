"""The sessions of this marketplace: in memory for every request, in the store for the next start.

    login ──▶ begun ── used ──▶ … ── logout, removal, idle for too long, lifetime, credential ──▶ over

A credential ends with its time, or when it is revoked or suspended (`status_watch`).

A login makes an identifier of 256 random bits that nobody knew before, whatever the browser had, so a session
that somebody else planted in a browser gains nothing by its login. The store has a digest of the identifier.
A session ends with its lifetime, with the credential, or when it was not used for a while, whichever comes
first; when it was last used is written once in a while, so a crash forgets a minute of use.

Sessions are bounded per subject, of which the oldest one gives way, and in all, where the newcomer is
refused: a crowd locks nobody out who is logged in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.identity.bindings import secret_digest
from hansa.identity.credentials.status.references import HeldStatus
from hansa.identity.endings import Endings
from hansa.identity.principal import Principal
from hansa.identity.sessions.cookies import IDENTIFIER_SIZE_BYTES, SessionCookie
from hansa.identity.sessions.forms import Forms
from hansa.identity.sessions.interface import Headers, LoggedIn, Session
from hansa.identity.sessions.return_paths import local_path
from hansa.store import Store
from hansa.store.tables.logins import sessions as table

USE_NOTED_EVERY_S: Final = 60.0
HOME: Final = "/"


class BrowserSessions:
    """The `Sessions`. `load` comes first. To be used on one event loop.

    Args:
        store: Where sessions outlive the process.
        endings: Who was removed.
        cookie: Of this marketplace.
        forms: Its tokens.
        clock: For all times.
        entropy: For identifiers.
        limits: Of their number and lifetimes.
    """

    def __init__(
        self,
        store: Store,
        endings: Endings,
        cookie: SessionCookie,
        forms: Forms,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._endings = endings
        self._cookie = cookie
        self._forms = forms
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._sessions: dict[bytes, Session] = {}
        self._seen_s: dict[bytes, int] = {}
        self._names_of: dict[str, list[bytes]] = {}
        """By subject, oldest first."""
        self._used: set[bytes] = set()
        """Used since that was last written."""

    async def load(self) -> None:
        """Read the sessions that were there before the start.

        Raises:
            Unavailable: The store cannot be read.
        """
        for row in await table.all_of(self._store):
            principal = msgspec.json.decode(row.principal, type=Principal)
            self._add(Session(row.name, principal, row.begun_s, row.ends_s), row.seen_s)

    async def begin(self, principal: Principal, return_to: str, headers: Headers, /) -> LoggedIn:
        """See `OnLogin`."""
        if self._endings.has_removed(principal):
            raise Refused(Code.FORBIDDEN, "You, your organisation or this credential were removed here.")
        now_s = epoch_s(self._clock)
        ended = [] if (before := self._name(headers)) is None else [before]
        names = self._names_of.get(principal.subject, [])
        ended += names[: max(0, len(names) + 1 - self._limits.sessions_per_subject_max)]
        if len(self._sessions) >= self._limits.sessions_max:
            ended += [name for name in self._sessions if not self._is_good(name, now_s)]
            if len(self._sessions) - len(set(ended) & self._sessions.keys()) >= self._limits.sessions_max:
                raise Unavailable(Code.OVERLOADED, "Too many people are logged in.", retry_after_s=60.0)
        identifier = self._entropy(IDENTIFIER_SIZE_BYTES)
        ends_s = now_s + int(self._limits.session_lifetime_s)
        if principal.credential_expires_s is not None:
            ends_s = min(ends_s, principal.credential_expires_s)
        session = Session(secret_digest(to_base64url(identifier)), principal, now_s, ends_s)
        content = msgspec.json.encode(principal)
        self._add(session, now_s)
        self._drop(ended)
        try:
            async with self._store.transaction() as tx:
                await table.remove(tx, ended)
                row = table.SessionRow(session.name, principal.subject, content, now_s, now_s, ends_s)
                await table.add(tx, row)
        except BaseException:
            self._drop([session.name])
            raise
        return LoggedIn(local_path(return_to) or HOME, (self._cookie.set(identifier),))

    def of(self, headers: Headers, /) -> Session | None:
        """See `Sessions`."""
        name = self._name(headers)
        if name is None:
            return None
        now_s = epoch_s(self._clock)
        if not self._is_good(name, now_s):
            return None
        if now_s != self._seen_s[name]:
            self._seen_s[name] = now_s
            self._used.add(name)
        return self._sessions[name]

    async def end(self, headers: Headers, /) -> tuple[str, ...]:
        """See `Sessions`."""
        name = self._name(headers)
        if name is None:  # as when a page of another site posts this: its answer must not remove the cookie
            return ()
        await self._end([name])
        return (self._cookie.cleared(),)

    async def end_all_of(self, subject: str, /) -> int:
        """See `Sessions`."""
        names = tuple(self._names_of.get(subject, ()))
        await self._end(names)
        return len(names)

    async def end_all_with(self, status: HeldStatus) -> None:
        """End all sessions of a credential, at once; it is known by where its status is.

        Raises:
            Unavailable: The store cannot be written; they are over in this process all the same.
        """
        await self._end(
            [name for name, one in self._sessions.items() if one.principal.credential_status == status]
        )

    def form_token(self, session: Session, /) -> str:
        """See `Sessions`."""
        return self._forms.token(session)

    def check_form(self, session: Session, headers: Headers, token: str, /) -> None:
        """See `Sessions`."""
        self._forms.check(session, headers, token)

    async def run(self) -> None:
        """Write when sessions were used, and remove those that are over, once in a while."""
        while True:
            await self._clock.sleep(USE_NOTED_EVERY_S)
            await self.note_use()

    async def note_use(self) -> None:
        """Write when sessions were used, and remove those that are over.

        Raises:
            Unavailable: The store cannot be written; what was to be written is written the next time.
        """
        now_s = epoch_s(self._clock)
        over = [name for name in self._sessions if not self._is_good(name, now_s)]
        used = self._used.intersection(self._sessions).difference(over)
        if not over and not used:
            return
        async with self._store.transaction() as tx:
            await table.note_use(tx, [(name, self._seen_s[name]) for name in sorted(used)])
            await table.remove(tx, over)
        self._used -= used
        self._drop(over)

    @property
    def count(self) -> int:
        """How many there are, those included that are over and not yet removed."""
        return len(self._sessions)

    def principals(self) -> Iterator[Principal]:
        """Who is logged in, once for each session; the newest first."""
        now_s = epoch_s(self._clock)
        for name in reversed(tuple(self._sessions)):
            if self._is_good(name, now_s):
                yield self._sessions[name].principal

    async def _end(self, names: list[bytes] | tuple[bytes, ...]) -> None:
        """End sessions: here at once, and then in the store."""
        self._drop(names)
        if names:
            async with self._store.transaction() as tx:
                await table.remove(tx, names)

    def _name(self, headers: Headers) -> bytes | None:
        """The name of the session that a browser has, whether it is one or not."""
        identifier = self._cookie.read(headers.get(b"cookie"))
        return None if identifier is None else secret_digest(identifier)

    def _is_good(self, name: bytes, now_s: int) -> bool:
        session = self._sessions.get(name)
        if session is None:
            return False
        is_idle = now_s - self._seen_s[name] > self._limits.session_idle_s
        return not is_idle and now_s <= session.ends_s and not self._endings.has_removed(session.principal)

    def _add(self, session: Session, seen_s: int) -> None:
        self._sessions[session.name] = session
        self._seen_s[session.name] = seen_s
        self._names_of.setdefault(session.principal.subject, []).append(session.name)

    def _drop(self, names: list[bytes] | tuple[bytes, ...]) -> None:
        for name in names:
            session = self._sessions.pop(name, None)
            if session is None:
                continue
            del self._seen_s[name]
            self._used.discard(name)
            subject = session.principal.subject
            self._names_of[subject].remove(name)
            if not self._names_of[subject]:
                del self._names_of[subject]
