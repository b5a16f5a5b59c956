"""What was written under idempotency keys, so that repeating such a write gives its result once more.

A row is written in the transaction of the write itself: whoever finds none can write. `account` is whose
bound a row counts against, a client of this marketplace or a member that forwards; `name` is the key together
with who used it. Both are digests. How many rows an account has, and their size, is counted by triggers, in
`idempotency_account`; the account without bytes is that of all rows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert

ALL: Final = b""
"""The account that counts every row."""
EXPIRED_AT_ONCE_MAX: Final = 50
"""Expired rows that one write removes; more than it adds, so that they do not gather."""


class KeyedResult(msgspec.Struct, frozen=True):
    """What a write under a key wrote."""

    fingerprint: bytes
    """Digest of the request."""
    result: bytes
    """As `hansa.business` encoded it."""


class KeyAccount(msgspec.Struct, frozen=True):
    """What an account has."""

    keys: int = 0
    size_bytes: int = 0


_COLUMNS: Final = ("account", "name", "fingerprint", "expires_ms", "result")
_ADD: Final = insert("idempotency_key", _COLUMNS)


async def result(source: Readable, account: bytes, name: bytes, now_ms: int) -> KeyedResult | None:
    """What was written under a key that has not expired."""
    rows = await source.sql.fetch(
        "SELECT fingerprint, result FROM idempotency_key WHERE account = ? AND name = ? AND expires_ms > ?",
        (account, name, now_ms),
    )
    return KeyedResult(*rows[0]) if rows else None


async def account(source: Readable, name: bytes) -> KeyAccount:
    """What an account has, or all together (`ALL`)."""
    rows = await source.sql.fetch(
        "SELECT keys, size_bytes FROM idempotency_account WHERE account = ?", (name,)
    )
    return KeyAccount(*rows[0]) if rows else KeyAccount()


async def first_expiry_ms(source: Readable, account: bytes) -> int | None:
    """When the first key of an account expires; None when it has none."""
    ((expires_ms,),) = await source.sql.fetch(
        "SELECT min(expires_ms) FROM idempotency_key WHERE account = ?", (account,)
    )
    return expires_ms if expires_ms is None else int(expires_ms)


async def last_expiry_ms(source: Readable) -> int | None:
    """When the last key of all expires; None when there is none."""
    ((expires_ms,),) = await source.sql.fetch("SELECT max(expires_ms) FROM idempotency_key")
    return expires_ms if expires_ms is None else int(expires_ms)


async def remove_expired(tx: Transaction, now_ms: int) -> None:
    """Remove the oldest expired keys."""
    await tx.sql.execute(
        "DELETE FROM idempotency_key WHERE (account, name) IN (SELECT account, name FROM idempotency_key "
        "WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)",
        (now_ms, EXPIRED_AT_ONCE_MAX),
    )


async def add(tx: Transaction, account: bytes, name: bytes, keyed: KeyedResult, expires_ms: int) -> None:
    """Record what was written under a key."""
    await tx.sql.execute(
        "DELETE FROM idempotency_key WHERE account = ? AND name = ?",
        (account, name),  # of the same name, expired
    )
    await tx.sql.execute(_ADD, (account, name, keyed.fingerprint, expires_ms, keyed.result))
