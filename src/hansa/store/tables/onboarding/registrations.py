"""Which organisations registered here, under which terms, and what the operator decided."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, upsert

RegistrationState = Literal["waiting", "approved", "removed"]


class Registration(msgspec.Struct, frozen=True):
    """An organisation that registered."""

    organization: str
    """Identifier, as `VATES-12345678`."""
    name: str
    country: str
    state: RegistrationState
    registrant: str
    """Subject of the employee who registered it last: its first employee here."""
    registrant_name: str
    registrant_email: str
    roles: str
    """Of the organisation: `Seller`, `Buyer`, or both with a space between."""
    terms: str
    """Version that was accepted last."""
    accepted_ms: int
    registered_ms: int
    decided_ms: int | None
    """When the operator approved or removed it."""
    organization_id: str
    """Of its entity (TMF632); empty before it is approved."""


_COLUMNS: Final = Registration.__struct_fields__
_RECORD: Final = RecordColumns(Registration)
_SAVE: Final = upsert("organization_registration", _COLUMNS, ("organization",))
_SELECT: Final = f"SELECT {_RECORD.sql} FROM organization_registration"  # noqa: S608 - constants


async def registration(source: Readable, organization: str) -> Registration | None:
    """The registration of an organisation."""
    rows = await source.sql.fetch(f"{_SELECT} WHERE organization = ?", (organization,))
    return _RECORD.record(rows[0]) if rows else None


async def registrations(
    source: Readable, state: RegistrationState | None, limit: int, offset: int
) -> tuple[Registration, ...]:
    """Registrations, of one state or all; the oldest first."""
    where, values = ("WHERE state = ?", (state,)) if state is not None else ("", ())
    rows = await source.sql.fetch(
        f"{_SELECT} {where} ORDER BY registered_ms, organization LIMIT ? OFFSET ?", (*values, limit, offset)
    )
    return tuple(map(_RECORD.record, rows))


async def count_waiting(source: Readable) -> int:
    """How many wait for the operator."""
    ((count,),) = await source.sql.fetch(
        "SELECT count(*) FROM organization_registration WHERE state = 'waiting'"
    )
    return int(count)


async def save(tx: Transaction, one: Registration) -> None:
    """Record a registration, in place of the one of the same organisation."""
    await tx.sql.execute(_SAVE, tuple(getattr(one, name) for name in _COLUMNS))
