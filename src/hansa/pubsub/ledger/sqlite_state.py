"""The ledger's state in SQLite: one transaction per block, with height and `app_hash` in that transaction.

A crash leaves the state of the last whole block; the engine's handshake replays what came after. A write that
fails ends the process: a state that cannot be written must not be voted on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.members import Member
from hansa.core.merkle import Frontier
from hansa.pubsub.bus import Claim
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION
from hansa.pubsub.ledger.state_machine import BlockEffects, Head, genesis_head

MEMORY: Final = ":memory:"
_HASH_SIZE_BYTES: Final = 32
_BUSY_TIMEOUT_MS: Final = 200
_CLAIM_COLUMNS: Final = "first_position, last_position, version, hashlink, is_deleted"


class SqliteState:
    """The committed state of a ledger; a `LedgerView` of the last whole block."""

    def __init__(self, path: Path | str) -> None:
        """Open or create.

        Raises:
            Fatal: `Code.STORE_NEWER`, `Code.STORE_DAMAGED`, `Code.DISK_FULL`.
        """
        self.path = str(path)
        with self._failures():
            self.connection = apsw.Connection(self.path)
            self.connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            self._prepare()
        self._head: Head | None = None
        self._params = LedgerParams()
        self._members: dict[str, Member] = {}
        self._issuers: dict[str, int] = {}
        """Numbers of those members that have events."""
        self._load()

    # -- what the state is ------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether no genesis has been written yet."""
        return self._head is None

    @property
    def head(self) -> Head:
        """Where the ledger stands."""
        assert self._head is not None, "a ledger stands nowhere before its genesis"
        return self._head

    @property
    def params(self) -> LedgerParams:
        """The ledger's limits."""
        return self._params

    @property
    def members(self) -> tuple[Member, ...]:
        """The registry, ordered by DID."""
        return tuple(self._members.values())

    def member(self, did: str) -> Member | None:
        """The member with that DID."""
        return self._members.get(did)

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""
        return self.position_of(issuer, event_id) is not None

    def position_of(self, issuer: str, event_id: str) -> int | None:
        """Position of an issuer's event."""
        number = self._issuers.get(issuer)
        if number is None:
            return None
        row = self._row(
            "SELECT position FROM event WHERE id = ? AND issuer = ?", (uuid.UUID(event_id).bytes, number)
        )
        return None if row is None else int(row[0])

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key."""
        number = self._issuers.get(issuer)
        if number is None:
            return None
        row = self._row(
            f"SELECT {_CLAIM_COLUMNS} FROM claim WHERE key = ? AND issuer = ?",  # noqa: S608
            (bytes.fromhex(key), number),
        )
        return None if row is None else _claim(key, issuer, row)

    def claims_on(self, key: str) -> tuple[Claim, ...]:
        """Every issuer's claim on an entity key."""
        rows = self.connection.execute(
            f"SELECT name.text, {_CLAIM_COLUMNS} FROM claim JOIN name ON name.number = claim.issuer"  # noqa: S608
            " WHERE key = ? ORDER BY first_position",
            (bytes.fromhex(key),),
        )
        return tuple(_claim(key, row[0], row[1:]) for row in rows)

    # -- how it changes ---------------------------------------------------------------------------------------

    def begin(self, app_state: AppState, time_ms: int) -> None:
        """Write the genesis over whatever is there; the engine asks for it only when it starts from nothing."""
        head = genesis_head(app_state.members, time_ms)
        with self._failures(), self.connection:
            for table in ("event_jws", "event", "claim", "block", "name", "member", "head"):
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608
            self.connection.executemany(
                "INSERT INTO member (did, body) VALUES (?, ?)",
                [(member.did, msgspec.json.encode(member)) for member in app_state.members],
            )
            self.connection.execute(
                "INSERT INTO head VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                (*_head_row(head), msgspec.json.encode(app_state.params)),
            )
        self._load()

    def persist(self, effects: BlockEffects) -> None:
        """Write a block's effects, durably, as one transaction.

        Raises:
            Fatal: `Code.DISK_FULL` or `Code.STORE_DAMAGED`; nothing of the block is written.
        """
        assert effects.head.height > self.head.height, "blocks are persisted in order"
        issuers: dict[str, int] = {}
        with self._failures(), self.connection:
            if effects.events:
                issuers = self._write_events(effects)
            self.connection.execute(
                "UPDATE head SET height = ?, time_ms = ?, events = ?, peaks = ?, members_root = ?, app_hash = ?",
                _head_row(effects.head),
            )
        self._head = effects.head
        self._issuers |= issuers

    def _write_events(self, effects: BlockEffects) -> dict[str, int]:
        """Write the events of a block; the numbers of their issuers."""
        height = effects.head.height
        self.connection.execute(
            "INSERT INTO block (height, time_ms, first_position) VALUES (?, ?, ?)",
            (height, effects.head.time_ms, effects.events[0].position),
        )
        names = {new.event.issuer for new in effects.events} | {new.event.type for new in effects.events}
        self.connection.executemany(
            "INSERT INTO name (text) VALUES (?) ON CONFLICT DO NOTHING", [(name,) for name in sorted(names)]
        )
        numbers = {
            name: self._number("SELECT number FROM name WHERE text = ?", (name,)) for name in sorted(names)
        }
        claims: dict[tuple[str, str], int] = {}
        for claim in effects.claims:
            claims[claim.issuer, claim.key] = self._number(
                "INSERT INTO claim (key, issuer, first_position, last_position, version, hashlink, is_deleted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key, issuer) DO UPDATE SET"
                " last_position = excluded.last_position, version = excluded.version,"
                " hashlink = excluded.hashlink, is_deleted = excluded.is_deleted RETURNING number",
                (
                    bytes.fromhex(claim.key),
                    numbers[claim.issuer],
                    claim.first_position,
                    claim.last_position,
                    claim.version,
                    claim.hashlink,
                    int(claim.is_deleted),
                ),
            )
        self.connection.executemany(
            "INSERT INTO event (position, height, id, issuer, type, claim) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    new.position,
                    height,
                    uuid.UUID(new.event.id).bytes,
                    numbers[new.event.issuer],
                    numbers[new.event.type],
                    claims[new.event.issuer, new.event.entity.key],
                )
                for new in effects.events
            ],
        )
        self.connection.executemany(
            "INSERT INTO event_jws (position, jws) VALUES (?, ?)",
            [(new.position, new.jws) for new in effects.events],
        )
        return {new.event.issuer: numbers[new.event.issuer] for new in effects.events}

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    # -- the file ---------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        version = self._number("PRAGMA user_version", ())
        application = self._number("PRAGMA application_id", ())
        if version > SCHEMA_VERSION:
            raise Fatal(
                Code.STORE_NEWER,
                f"{self.path} was written by a newer version of Hansa (schema {version}; this one knows {SCHEMA_VERSION}).",
            )
        if application not in {0, APPLICATION_ID}:
            raise Fatal(Code.STORE_DAMAGED, f"{self.path} is not the state of a ledger.")
        # One process has it for itself; a second one on the same file is told so (`FOLDER_IN_USE`).
        self.connection.pragma("locking_mode", "exclusive")
        self.connection.pragma("journal_mode", "wal")
        self.connection.pragma("synchronous", "full")
        self.connection.pragma("temp_store", "memory")
        if version == 0:
            with self.connection:
                self.connection.execute(SCHEMA)
                self.connection.pragma("application_id", APPLICATION_ID)
                self.connection.pragma("user_version", SCHEMA_VERSION)

    def _load(self) -> None:
        with self._failures():
            row = self._row(
                "SELECT height, time_ms, events, peaks, members_root, app_hash, params FROM head", ()
            )
            if row is None:
                return
            height, time_ms, events, peaks, members, app_hash, params = row
            self._members = {
                did: msgspec.json.decode(body, type=Member)
                for did, body in self.connection.execute("SELECT did, body FROM member ORDER BY did")
            }
            self._issuers = dict(
                self.connection.execute(
                    "SELECT text, number FROM name WHERE text IN (SELECT did FROM member)"
                )
            )
            newest = self._number("SELECT coalesce(max(position), 0) FROM event", ())
        tree = Frontier(
            events, tuple(peaks[i : i + _HASH_SIZE_BYTES] for i in range(0, len(peaks), _HASH_SIZE_BYTES))
        )
        self._head = Head(height, time_ms, tree, members)
        self._params = msgspec.json.decode(params, type=LedgerParams)
        expected = genesis_head(self.members, time_ms).members_root
        if self._head.app_hash != app_hash or members != expected or newest != events:
            raise Fatal(Code.STORE_DAMAGED, f"{self.path} contradicts itself. {_REBUILD}")

    def _row(self, sql: str, bindings: Sequence[Any]) -> tuple[Any, ...] | None:
        return self.connection.execute(sql, bindings).fetchone()

    def _number(self, sql: str, bindings: Sequence[Any]) -> int:
        row = self._row(sql, bindings)
        assert row is not None, sql
        return int(row[0])

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Say what a failure of SQLite means to the operator."""
        try:
            yield
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise Fatal(
                Code.DISK_FULL, f"{self.path} cannot be written ({error}): free disk space, then start again."
            ) from error
        except apsw.BusyError as error:
            raise Fatal(Code.FOLDER_IN_USE, f"Another process works with {self.path}.") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise Fatal(Code.STORE_DAMAGED, f"{self.path} is damaged ({error}). {_REBUILD}") from error


_REBUILD: Final = "Remove it (with its -wal and -shm): the ledger is rebuilt from the engine's blocks."


def _head_row(head: Head) -> tuple[int, int, int, bytes, bytes, bytes]:
    return (
        head.height,
        head.time_ms,
        head.tree.size,
        b"".join(head.tree.peaks),
        head.members_root,
        head.app_hash,
    )


def _claim(key: str, issuer: str, row: tuple[Any, ...]) -> Claim:
    first_position, last_position, version, hashlink, is_deleted = row
    return Claim(key, issuer, first_position, last_position, version, hashlink, bool(is_deleted))


def event_id_bytes(event_id: str) -> bytes:
    """An event id as it is stored.

    Raises:
        Refused: `Code.INVALID`, when it is no UUID.
    """
    try:
        return uuid.UUID(event_id).bytes
    except ValueError as error:
        raise Refused(Code.INVALID, "An event id is a UUID.") from error
