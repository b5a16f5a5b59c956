"""What the issuer of credentials has offered and issued, and its status lists.

An offer is found by digests alone: of the reference in its address, of its code, of its access token. None of
those is stored. A status list has a fixed number of places, which are given out at random, so that neither
their number nor their order tells anything; its content follows from the credentials whose status is not 0.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert

ListKind = Literal["token", "revocation", "suspension"]

EXPIRED_AT_ONCE_MAX: Final = 50
"""Rows that one write removes; more than it adds, so that they do not gather."""


class StoredOffer(msgspec.Struct, frozen=True):
    """An offer of credentials."""

    id: str
    """By which operators name it."""
    reference: bytes
    """Digest of the reference in its address."""
    code: bytes
    """Digest of the pre-authorized code."""
    tx_code: bytes | None
    """Digest of the transaction code; None: it needs none."""
    tries: int
    """Wrong transaction codes so far."""
    token: bytes | None
    """Digest of the access token; None before the code was used."""
    token_expires_ms: int | None
    created_ms: int
    expires_ms: int
    content: bytes
    """What is offered; JSON."""
    issued: str
    """Configurations that were issued, one for each request, separated by spaces."""


class IssuedCredential(msgspec.Struct, frozen=True):
    """A credential that was issued."""

    id: str
    configuration: str
    organization: str
    """Identifier of the mandator."""
    organization_name: str
    country: str
    holder: str
    """Name of the person or service."""
    email: str
    list_number: int
    """Number of its status list; the next number is that of its list of suspensions, where that is
    another."""
    place: int
    """In the list."""
    status: int
    """0 valid, 1 revoked, 2 suspended."""
    issued_ms: int
    expires_ms: int


class StatusList(msgspec.Struct, frozen=True):
    """A list of statuses."""

    number: int
    organization: str
    """Identifier of the one who signs it."""
    kind: ListKind
    taken: int
    """Places that were given out."""


_OFFER: Final = RecordColumns(StoredOffer)
_CREDENTIAL: Final = RecordColumns(IssuedCredential)
_LIST: Final = RecordColumns(StatusList)
_ADD_OFFER: Final = insert("credential_offer", StoredOffer.__struct_fields__)
_ADD_CREDENTIAL: Final = insert("issued_credential", IssuedCredential.__struct_fields__)


async def add_offer(tx: Transaction, offer: StoredOffer) -> None:
    """Record an offer."""
    await tx.sql.execute(_ADD_OFFER, tuple(getattr(offer, name) for name in StoredOffer.__struct_fields__))


async def offer_by(
    source: Readable, column: Literal["reference", "code", "token"], digest: bytes
) -> StoredOffer | None:
    """The offer with a digest."""
    rows = await source.sql.fetch(f"SELECT {_OFFER.sql} FROM credential_offer WHERE {column} = ?", (digest,))  # noqa: S608 - constants
    return _OFFER.record(rows[0]) if rows else None


async def offer(source: Readable, id: str) -> StoredOffer | None:
    """An offer by its identifier."""
    rows = await source.sql.fetch(f"SELECT {_OFFER.sql} FROM credential_offer WHERE id = ?", (id,))  # noqa: S608 - constants
    return _OFFER.record(rows[0]) if rows else None


async def offers_for(
    source: Readable, organization: str, email: str, now_ms: int, limit: int
) -> tuple[StoredOffer, ...]:
    """The oldest offers that wait for a person of an organization, whose orders name both."""
    rows = await source.sql.fetch(
        f"SELECT {_OFFER.sql} FROM credential_offer WHERE token IS NULL AND expires_ms > ? "  # noqa: S608 - constants
        "AND CAST(content AS TEXT) ->> '$.organization' = ? AND CAST(content AS TEXT) ->> '$.email' = ? "
        "ORDER BY created_ms, id LIMIT ?",
        (now_ms, organization, email, limit),
    )
    return tuple(map(_OFFER.record, rows))


async def offers(source: Readable, limit: int) -> tuple[StoredOffer, ...]:
    """The newest offers."""
    rows = await source.sql.fetch(
        f"SELECT {_OFFER.sql} FROM credential_offer ORDER BY created_ms DESC, id LIMIT ?",  # noqa: S608 - constants
        (limit,),
    )
    return tuple(map(_OFFER.record, rows))


async def count_offers(source: Readable) -> int:
    """How many offers there are."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM credential_offer")
    return int(count)


async def note_wrong_try(tx: Transaction, id: str) -> None:
    """Count a wrong transaction code."""
    await tx.sql.execute("UPDATE credential_offer SET tries = tries + 1 WHERE id = ?", (id,))


async def give_token(tx: Transaction, id: str, token: bytes, expires_ms: int) -> None:
    """Record the access token of an offer whose code was used; the offer ends with it."""
    await tx.sql.execute(
        "UPDATE credential_offer SET token = ?, token_expires_ms = ?, expires_ms = ? WHERE id = ?",
        (token, expires_ms, expires_ms, id),
    )


async def note_issued(tx: Transaction, id: str, configurations: str) -> None:
    """Record what of an offer was issued."""
    await tx.sql.execute("UPDATE credential_offer SET issued = ? WHERE id = ?", (configurations, id))


async def remove_offer(tx: Transaction, id: str) -> bool:
    """End an offer; whether there was one."""
    return bool(await tx.sql.execute("DELETE FROM credential_offer WHERE id = ? RETURNING id", (id,)))


async def remove_expired(tx: Transaction, now_ms: int, credentials_before_ms: int) -> None:
    """Remove the oldest offers that have ended, and credentials that have been invalid for long.

    Args:
        tx: In which they are removed.
        now_ms: Milliseconds since 1970.
        credentials_before_ms: Credentials go that expired before this.
    """
    await tx.sql.execute(
        "DELETE FROM credential_offer WHERE id IN (SELECT id FROM credential_offer WHERE expires_ms <= ? "
        "ORDER BY expires_ms LIMIT ?)",
        (now_ms, EXPIRED_AT_ONCE_MAX),
    )
    await tx.sql.execute(
        "DELETE FROM issued_credential WHERE id IN (SELECT id FROM issued_credential WHERE expires_ms <= ? "
        "ORDER BY issued_ms LIMIT ?)",
        (credentials_before_ms, EXPIRED_AT_ONCE_MAX),
    )


async def newest_list(source: Readable, organization: str, kind: ListKind) -> StatusList | None:
    """The list of an organization that is filled now."""
    rows = await source.sql.fetch(
        f"SELECT {_LIST.sql} FROM status_list WHERE organization = ? AND kind = ? ORDER BY number DESC LIMIT 1",  # noqa: S608 - constants
        (organization, kind),
    )
    return _LIST.record(rows[0]) if rows else None


async def status_list(source: Readable, number: int) -> StatusList | None:
    """A list by its number."""
    rows = await source.sql.fetch(f"SELECT {_LIST.sql} FROM status_list WHERE number = ?", (number,))  # noqa: S608 - constants
    return _LIST.record(rows[0]) if rows else None


async def add_list(tx: Transaction, organization: str, kind: ListKind) -> StatusList:
    """A new list, with the next number."""
    ((number,),) = await tx.sql.fetch("SELECT coalesce(max(number), 0) + 1 FROM status_list")
    one = StatusList(int(number), organization, kind, 0)
    await tx.sql.execute(
        insert("status_list", StatusList.__struct_fields__), (one.number, organization, kind, 0)
    )
    return one


async def is_taken(source: Readable, list_number: int, place: int) -> bool:
    """Whether a credential has a place of a list."""
    rows = await source.sql.fetch(
        "SELECT 1 FROM issued_credential WHERE list_number = ? AND place = ?", (list_number, place)
    )
    return bool(rows)


async def add_credential(tx: Transaction, credential: IssuedCredential) -> None:
    """Record what was issued, with its place in a list."""
    fields = IssuedCredential.__struct_fields__
    await tx.sql.execute(_ADD_CREDENTIAL, tuple(getattr(credential, name) for name in fields))
    await tx.sql.execute(
        "UPDATE status_list SET taken = taken + 1 WHERE number = ?", (credential.list_number,)
    )


async def credential(source: Readable, id: str) -> IssuedCredential | None:
    """A credential by its identifier."""
    rows = await source.sql.fetch(f"SELECT {_CREDENTIAL.sql} FROM issued_credential WHERE id = ?", (id,))  # noqa: S608 - constants
    return _CREDENTIAL.record(rows[0]) if rows else None


async def credentials(source: Readable, limit: int, offset: int = 0) -> tuple[IssuedCredential, ...]:
    """What was issued, newest first."""
    rows = await source.sql.fetch(
        f"SELECT {_CREDENTIAL.sql} FROM issued_credential ORDER BY issued_ms DESC, id LIMIT ? OFFSET ?",  # noqa: S608 - constants
        (limit, offset),
    )
    return tuple(map(_CREDENTIAL.record, rows))


async def credentials_of(source: Readable, organization: str, limit: int) -> tuple[IssuedCredential, ...]:
    """What was issued in the name of an organization, newest first."""
    rows = await source.sql.fetch(
        f"SELECT {_CREDENTIAL.sql} FROM issued_credential WHERE organization = ? "  # noqa: S608 - constants
        "ORDER BY issued_ms DESC, id LIMIT ?",
        (organization, limit),
    )
    return tuple(map(_CREDENTIAL.record, rows))


async def count_credentials(source: Readable) -> int:
    """How many credentials are recorded."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM issued_credential")
    return int(count)


async def set_status(tx: Transaction, id: str, status: int) -> None:
    """Change the status of a credential."""
    await tx.sql.execute("UPDATE issued_credential SET status = ? WHERE id = ?", (status, id))


async def statuses(source: Readable, list_number: int) -> tuple[tuple[int, int], ...]:
    """Places of a list whose status is not 0, with it."""
    rows = await source.sql.fetch(
        "SELECT place, status FROM issued_credential WHERE list_number = ? AND status != 0", (list_number,)
    )
    return tuple((int(place), int(status)) for place, status in rows)
