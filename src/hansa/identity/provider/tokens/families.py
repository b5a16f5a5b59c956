"""Refresh tokens: each is good once, and a whole family ends with the first one that is used twice.

A refresh token has two parts, a handle that stays the same in its family and a secret that each use replaces;
the store has a digest of both. Whoever shows a handle with another secret than the present one had a token of
the family, or has one that was stolen: the family is over, with all access tokens that came of it.

The status of the credential with which the person logged in is looked up at every use. A family whose
credential was revoked or suspended is over. When the status cannot be told now, nothing is issued, and the
token is not used up: the client may try again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.identity.bindings import secret_digest
from hansa.identity.credentials.refusals import CredentialRefused
from hansa.identity.credentials.status.references import HeldStatus
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_grant
from hansa.identity.provider.tokens.access_tokens import AccessTokens, Authorized
from hansa.store import Store
from hansa.store.tables.logins import token_families as table

_FORM: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII)
_HANDLE_SIZE_BYTES: Final = 16
_SECRET_SIZE_BYTES: Final = 32

log = structlog.get_logger("hansa.identity")


class Refreshed(msgspec.Struct, frozen=True):
    """What a refresh token was good for."""

    authorized: Authorized
    family: str
    refresh_token: str
    """That takes its place."""


class TokenFamilies:
    """The families.

    Args:
        store: Where they are.
        access_tokens: What ends with them.
        clock: For their ends.
        entropy: For tokens.
        limits: Of their number and lifetime.
        check_status: Looks a status up; raises `CredentialRefused`. None: no credentials are accepted here.
    """

    def __init__(
        self,
        store: Store,
        access_tokens: AccessTokens,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        check_status: Callable[[HeldStatus], Awaitable[None]] | None = None,
    ) -> None:
        self._check_status = check_status
        self._store = store
        self._access_tokens = access_tokens
        self._clock = clock
        self._entropy = entropy
        self._limits = limits

    async def begin(self, authorized: Authorized, family: str) -> str:
        """The first refresh token of a family.

        Raises:
            Unavailable: `Code.OVERLOADED`, when there are too many; or of the store.
        """
        handle, secret = self._part(_HANDLE_SIZE_BYTES), self._part(_SECRET_SIZE_BYTES)
        now_s = epoch_s(self._clock)
        ends_s = now_s + int(self._limits.refresh_token_lifetime_s)
        if authorized.principal.credential_expires_s is not None:
            ends_s = min(ends_s, authorized.principal.credential_expires_s)
        subject, client = authorized.principal.subject, authorized.client
        async with self._store.transaction() as tx:
            await table.remove_expired(tx, now_s)
            if await table.count(tx) >= self._limits.token_families_max:
                raise Unavailable(Code.OVERLOADED, "Too many refresh tokens.", retry_after_s=3600.0)
            others = await table.oldest_of(tx, subject, client)
            for name in others[: max(0, len(others) + 1 - self._limits.token_families_per_subject_max)]:
                await table.remove(tx, name)
            content = msgspec.json.encode(authorized)
            row = table.FamilyRow(
                secret_digest(handle), family, secret_digest(secret), subject, client, content, ends_s
            )
            await table.add(tx, row)
        return f"{handle}.{secret}"

    async def refresh(self, refresh_token: str, client: str, key_thumbprint: str) -> Refreshed:
        """Use a refresh token up.

        Args:
            refresh_token: As the client shows it.
            client: Which client that is, as it proved.
            key_thumbprint: Of the key that it proved to have; empty: of none.

        Raises:
            OAuthRefused: `invalid_grant`; `temporarily_unavailable`, when the status of the credential cannot
                be told now.
            Unavailable: Of the store, or of the registry of trusted issuers.
        """
        row = await self._row(refresh_token)
        if row is None or row.client != client or row.ends_s <= epoch_s(self._clock):
            raise invalid_grant("The refresh token is unknown, has expired, or is of another client.")
        authorized = msgspec.json.decode(row.content, type=Authorized)
        if authorized.key_thumbprint != key_thumbprint:
            raise invalid_grant("The refresh token is bound to another key.")
        handle, before = _parts(refresh_token)
        if row.secret == secret_digest(before):  # another one is of no use, and makes nobody fetch anything
            await self._check_credential(row.name, authorized.principal.credential_status)
        secret = self._part(_SECRET_SIZE_BYTES)
        async with self._store.transaction() as tx:
            is_present = await table.rotate(
                tx, secret_digest(handle), secret_digest(before), secret_digest(secret)
            )
            if not is_present:
                await table.remove(tx, row.name)
        if not is_present:
            await self._access_tokens.end_family(row.name)
            raise invalid_grant("The refresh token was used before: all tokens that came of it have ended.")
        return Refreshed(authorized, row.name, f"{handle}.{secret}")

    async def _check_credential(self, family: str, status: HeldStatus | None) -> None:
        """Check that the credential behind a family is good; end the family of one that is not."""
        if status is None:
            return
        try:
            if self._check_status is None:
                raise _status_unknown()
            await self._check_status(status)
        except CredentialRefused as error:
            if error.code is Code.CREDENTIAL_STATUS_UNKNOWN:
                log.warning("refresh_delayed", code=error.code, steps=list(error.steps))
                raise _status_unknown() from error
            log.warning("refresh_refused", code=error.code, steps=list(error.steps))
            await self.end(family)
            raise invalid_grant("The credential behind it was revoked or suspended.") from error

    async def find(self, refresh_token: str, client: str) -> table.FamilyRow | None:
        """The family of a refresh token that is good for a client now."""
        row = await self._row(refresh_token)
        if row is None or row.client != client or row.ends_s <= epoch_s(self._clock):
            return None
        return row if row.secret == secret_digest(_parts(refresh_token)[1]) else None

    async def end(self, family: str) -> None:
        """End a family, with the access tokens that came of it.

        Raises:
            Unavailable: `Code.OVERLOADED`, or of the store.
        """
        await self._access_tokens.end_family(family)
        async with self._store.transaction() as tx:
            await table.remove(tx, family)

    async def _row(self, refresh_token: str) -> table.FamilyRow | None:
        if _FORM.fullmatch(refresh_token) is None:
            return None
        return await table.by_handle(self._store, secret_digest(_parts(refresh_token)[0]))

    def _part(self, size_bytes: int) -> str:
        return to_base64url(self._entropy(size_bytes))


def _status_unknown() -> OAuthRefused:
    description = "The status of the credential cannot be looked up at present: try again later."
    return OAuthRefused("temporarily_unavailable", description, 503)


def _parts(refresh_token: str) -> tuple[str, str]:
    handle, _, secret = refresh_token.partition(".")
    return handle, secret
