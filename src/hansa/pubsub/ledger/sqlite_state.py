"""The ledger's state in SQLite: one transaction per block, with height and `app_hash` in that transaction.

A crash leaves the state of the last whole block; the engine's handshake replays what came after. A write that
fails ends the process: a state that cannot be written must not be voted on.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from hansa.core.errors import Code, Fatal
from hansa.core.events import event_time_ms
from hansa.core.file_lock import acquire_file_lock
from hansa.core.members import Member
from hansa.core.merkle import Frontier
from hansa.pubsub.bus import Claim
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.schema import (
    APPLICATION_ID,
    SCHEMA,
    SCHEMA_VERSION,
    TABLES,
    BatchRow,
    BlockRow,
    ClaimRow,
    EventContentRow,
    EventRow,
    HeadRow,
    IssuerRow,
    MemberRow,
    insert_sql,
    select_sql,
)
from hansa.pubsub.ledger.state import BlockEffects, Head, IssuerState, genesis_effects, members_root

MEMORY: Final = ":memory:"
_HASH_SIZE_BYTES: Final = 32
_BUSY_TIMEOUT_MS: Final = 10_000
"""Those who read hold the writer up only while one of them recovers the log that a crash left."""

_SELECT_CLAIM: Final = f"{select_sql('claim', ClaimRow)} WHERE key = ? AND issuer = ?"
_WRITE_CLAIM: Final = (
    f"{insert_sql('claim', ClaimRow)} ON CONFLICT (key, issuer) DO UPDATE SET"
    " last_position = excluded.last_position, version = excluded.version,"
    " hashlink = excluded.hashlink, is_deleted = excluded.is_deleted RETURNING number"
)
_WRITE_MEMBER: Final = (
    f"{insert_sql('member', MemberRow)} ON CONFLICT (did) DO UPDATE SET body = excluded.body"
)
_WRITE_ISSUER: Final = (
    f"{insert_sql('issuer', IssuerRow)} ON CONFLICT (did) DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in IssuerRow._fields[1:])}"
)
_WRITE_HEAD: Final = f"UPDATE head SET {', '.join(f'{name} = ?' for name in HeadRow._fields)}"  # noqa: S608


class SqliteState:
    """The committed state of a ledger; a `StateView` of the last whole block."""

    def __init__(self, path: Path | str) -> None:
        """Open or create; others may read the file meanwhile (`hansa.pubsub.ledger.reading`).

        Raises:
            Fatal: `Code.FOLDER_IN_USE`, `Code.STORE_NEWER`, `Code.LEDGER_OLDER`, `Code.STORE_DAMAGED`,
                `Code.DISK_FULL`.
        """
        self.path = str(path)
        self._head: Head | None = None
        self._params = LedgerParams()
        self._members: dict[str, Member] = {}
        self._issuer_states: dict[str, IssuerState] = {}
        self._issuers: dict[str, int] = {}
        """Numbers of those members that have events."""
        with ExitStack() as resources:
            if self.path != MEMORY:
                lock = acquire_file_lock(
                    Path(f"{self.path}.lock"),
                    lambda holder: f"Another process works with {self.path}: process {holder}.",
                )
                resources.callback(os.close, lock)
            with self._failures():
                self.connection = apsw.Connection(self.path)
                resources.callback(self.connection.close)
                self.connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
                self._prepare()
            self._load()
            self._resources = resources.pop_all()

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether no genesis has been written yet."""
        return self._head is None

    @property
    def head(self) -> Head:
        """The ledger in short, after the last whole block."""
        assert self._head is not None, "a ledger has no head before its genesis"
        return self._head

    @property
    def tree(self) -> Frontier:
        """The Merkle tree over all events' bytes."""
        return self.head.tree

    @property
    def params(self) -> LedgerParams:
        """The ledger's limits."""
        return self._params

    @property
    def time_ms(self) -> int:
        """Time of the last block."""
        return self.head.time_ms

    @property
    def members(self) -> tuple[Member, ...]:
        """The registry, ordered by DID."""
        return tuple(self._members.values())

    def member(self, did: str) -> Member | None:
        """The member with that DID."""
        return self._members.get(did)

    def issuer(self, did: str) -> IssuerState:
        """What is remembered of an issuer's batches."""
        return self._issuer_states.get(did) or IssuerState(did)

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""
        number = self._issuers.get(issuer)
        if number is None:
            return False
        row = self._row(
            "SELECT 1 FROM event WHERE id = ? AND issuer = ?", (uuid.UUID(event_id).bytes, number)
        )
        return row is not None

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key."""
        number = self._issuers.get(issuer)
        if number is None:
            return None
        row = self._row(
            _SELECT_CLAIM,
            (bytes.fromhex(key), number),
        )
        return None if row is None else _as_claim(key, issuer, ClaimRow._make(row))

    # -- writing ---------------------------------------------------------------------------------------------

    def write_genesis(self, app_state: AppState, time_ms: int) -> None:
        """Write the genesis over any state; the engine asks for it only when it has no blocks."""
        effects = genesis_effects(app_state, time_ms)
        with self._failures(), self.connection:
            for table in TABLES:
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608
            self._write_members(effects.members)
            self.connection.execute(insert_sql("head", HeadRow), _head_row(effects.head, app_state.params))
        self._load()
        assert self.head == effects.head, "what was written is what is read"
        assert self._params == app_state.params, "what was written is what is read"

    def persist(self, effects: BlockEffects) -> None:
        """Write a block's effects, durably, as one transaction.

        Raises:
            Fatal: `Code.DISK_FULL` or `Code.STORE_DAMAGED`; nothing of the block is written.
        """
        assert effects.head.height > self.head.height, "blocks are persisted in order"
        assert effects.head.position == self.head.position + len(effects.events), "positions have no gaps"
        issuers: dict[str, int] = {}
        with self._failures(), self.connection:
            if effects.events:
                issuers = self._write_events(effects)
            if effects.members:
                self._write_members(effects.members)
            if effects.issuers:
                rows = [IssuerRow(*msgspec.structs.astuple(issuer)) for issuer in effects.issuers]
                self.connection.executemany(_WRITE_ISSUER, rows)
            self.connection.execute(_WRITE_HEAD, _head_row(effects.head, self._params))
        self._head = effects.head
        self._issuer_states |= {issuer.did: issuer for issuer in effects.issuers}
        self._issuers |= issuers
        if effects.members:
            changed = self._members | {member.did: member for member in effects.members}
            self._members = {did: changed[did] for did in sorted(changed)}

    def _write_members(self, members: Sequence[Member]) -> None:
        self.connection.executemany(
            _WRITE_MEMBER, [MemberRow(member.did, msgspec.json.encode(member)) for member in members]
        )

    def _write_events(self, effects: BlockEffects) -> dict[str, int]:
        """Write the events of a block; the numbers of their issuers."""
        height = effects.head.height
        self.connection.execute(
            insert_sql("block", BlockRow),
            BlockRow(height, effects.head.time_ms, effects.events[0].position),
        )
        first = effects.events[0].position
        names = {new.event.issuer for new in effects.events} | {new.event.type for new in effects.events}
        self.connection.executemany(
            "INSERT INTO name (text) VALUES (?) ON CONFLICT DO NOTHING", [(name,) for name in sorted(names)]
        )
        numbers = {
            name: self._number("SELECT number FROM name WHERE text = ?", (name,)) for name in sorted(names)
        }
        self.connection.executemany(
            insert_sql("batch", BatchRow),
            [
                BatchRow(new.first_position, new.count, height, numbers[new.issuer], new.seq, new.jws)
                for new in effects.batches
            ],
        )
        claims: dict[tuple[str, str], int] = {}
        for claim in effects.claims:
            claims[claim.issuer, claim.key] = self._number(
                _WRITE_CLAIM,
                ClaimRow(
                    key=bytes.fromhex(claim.key),
                    issuer=numbers[claim.issuer],
                    first_position=claim.first_position,
                    last_position=claim.last_position,
                    version=claim.version,
                    hashlink=claim.hashlink,
                    is_deleted=int(claim.is_deleted),
                ),
            )
        self.connection.executemany(
            insert_sql("event", EventRow),
            [
                EventRow(
                    position=new.position,
                    batch=batch.first_position,
                    id=uuid.UUID(new.event.id).bytes,
                    issuer=numbers[new.event.issuer],
                    type=numbers[new.event.type],
                    claim=claims[new.event.issuer, new.event.entity.key],
                    time_ms=event_time_ms(new.event.time),
                )
                for batch in effects.batches
                for new in effects.events[
                    batch.first_position - first : batch.first_position - first + batch.count
                ]
            ],
        )
        self.connection.executemany(
            insert_sql("event_content", EventContentRow),
            [EventContentRow(new.position, new.content) for new in effects.events],
        )
        return {new.event.issuer: numbers[new.event.issuer] for new in effects.events}

    def close(self) -> None:
        """Close the file, and let another process work with it."""
        self._resources.close()

    # -- the file --------------------------------------------------------------------------------------------

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
        if 0 < version < SCHEMA_VERSION:
            raise Fatal(
                Code.LEDGER_OLDER,
                f"The ledger in {self.path} was founded under the rules of version {version}; this release has those of "
                f"{SCHEMA_VERSION}. Export the catalogue with the release before, found the league anew, and import it: "
                "docs/operators/recover.md says how.",
            )
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
            row = self._row(select_sql("head", HeadRow), ())
            if row is None:
                return
            head = HeadRow._make(row)
            members = self.connection.execute(f"{select_sql('member', MemberRow)} ORDER BY did").fetchall()
            self._members = {
                member.did: msgspec.json.decode(member.body, type=Member)
                for member in map(MemberRow._make, members)
            }
            issuers = map(IssuerRow._make, self.connection.execute(select_sql("issuer", IssuerRow)))
            self._issuer_states = {row.did: IssuerState(*row) for row in issuers}
            self._issuers = dict(
                self.connection.execute(
                    "SELECT text, number FROM name WHERE text IN (SELECT did FROM member)"
                )
            )
            newest = self._number("SELECT coalesce(max(position), 0) FROM event", ())
        starts = range(0, len(head.peaks), _HASH_SIZE_BYTES)
        tree = Frontier(head.events, tuple(head.peaks[start : start + _HASH_SIZE_BYTES] for start in starts))
        self._head = Head(head.height, head.time_ms, tree, head.members_root)
        self._params = msgspec.json.decode(head.params, type=LedgerParams)
        is_consistent = (
            self._head.app_hash == head.app_hash
            and head.members_root == members_root(self.members)
            and head.events == newest
        )
        if not is_consistent:
            raise Fatal(Code.STORE_DAMAGED, f"{self.path} contradicts itself. {_REBUILD}")

    def _row(self, sql: str, bindings: Sequence[Any]) -> tuple[Any, ...] | None:
        return self.connection.execute(sql, bindings).fetchone()

    def _number(self, sql: str, bindings: Sequence[Any]) -> int:
        row = self._row(sql, bindings)
        assert row is not None, sql
        return int(row[0])

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn a failure of SQLite into the `Fatal` that tells the operator what to do."""
        try:
            yield
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise Fatal(
                Code.DISK_FULL, f"{self.path} cannot be written ({error}): free disk space, then start again."
            ) from error
        except apsw.BusyError as error:
            raise Fatal(Code.FOLDER_IN_USE, f"Another program has locked {self.path}.") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise Fatal(Code.STORE_DAMAGED, f"{self.path} is damaged ({error}). {_REBUILD}") from error


_REBUILD: Final = "Remove it (with its -wal and -shm): the ledger is rebuilt from the engine's blocks."


def _head_row(head: Head, params: LedgerParams) -> HeadRow:
    return HeadRow(
        height=head.height,
        time_ms=head.time_ms,
        events=head.tree.size,
        peaks=b"".join(head.tree.peaks),
        members_root=head.members_root,
        app_hash=head.app_hash,
        params=msgspec.json.encode(params),
    )


def _as_claim(key: str, issuer: str, row: ClaimRow) -> Claim:
    return Claim(
        key=key,
        issuer=issuer,
        first_position=row.first_position,
        last_position=row.last_position,
        version=row.version,
        hashlink=row.hashlink,
        is_deleted=bool(row.is_deleted),
    )
