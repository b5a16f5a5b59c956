"""The ledger's state in SQLite: one transaction per block, with height and `app_hash` in that transaction.

A crash leaves the state of the last whole block; the engine's handshake replays what came after. A write that
fails ends the process: a state that cannot be written must not be voted on.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from hansa.core.closed_structs import StructForm, StructT
from hansa.core.database_failures import database_failure, schema_version
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.file_lock import acquire_file_lock
from hansa.core.members import MEMBER, Member
from hansa.pubsub.ledger.commitments.app_hash import Sections, record_sections
from hansa.pubsub.ledger.commitments.state_trees import StateTrees
from hansa.pubsub.ledger.commitments.stored import (
    ISSUER,
    MISBEHAVIOR,
    VALIDATOR,
    IssuerState,
    ValidatorRecord,
)
from hansa.pubsub.ledger.commitments.tiles import TreeMissing
from hansa.pubsub.ledger.genesis import PARAMETERS, AppState, LedgerParams
from hansa.pubsub.ledger.rules.rulesets import RULESETS, rules_digest
from hansa.pubsub.ledger.state import BlockEffects, Head, genesis_effects
from hansa.pubsub.ledger.storage.compact import register_functions
from hansa.pubsub.ledger.storage.consistency import find_contradiction
from hansa.pubsub.ledger.storage.event_rows import write_events
from hansa.pubsub.ledger.storage.log_copier import LogCopier
from hansa.pubsub.ledger.storage.migration import migrate
from hansa.pubsub.ledger.storage.schema import (
    APPLICATION_ID,
    RECORD_TABLES,
    SCHEMA,
    SCHEMA_OLDEST,
    SCHEMA_VERSION,
    TABLES,
    HeadRow,
    insert_sql,
    select_sql,
)
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.ledger_records import Claim, Misbehavior

MEMORY: Final = ":memory:"
_BUSY_TIMEOUT_MS: Final = 10_000
"""Those who read hold the writer up only while one of them recovers the log that a crash left."""

_LOG_PAGES: Final = 2000
"""Pages of the write-ahead log that are not in the database yet, from which on they are copied."""
_LOG_PAGES_MAX: Final = 4500
"""Pages of the log, from which on a commit waits for those who read it."""
_LOG_REST_PAGES: Final = 1000
"""Pages that are not copied yet, up to which that commit copies them itself; of more, the copier has its
turn first."""
_LOG_BUSY_TIMEOUT_MS: Final = 50
"""How long that commit waits. It is the longer the longer the log is, by the square."""
_LOG_BUSY_TIMEOUT_MAX_MS: Final = 1000

_WRITE_HEAD: Final = f"UPDATE head SET {', '.join(f'{name} = ?' for name in HeadRow._fields)}"  # noqa: S608


class SqliteState:
    """The committed state of a ledger; a `StateView` of the last whole block."""

    def __init__(self, path: Path | str) -> None:
        """Open or create; others may read the file meanwhile (`hansa.pubsub.ledger.reading`).

        Raises:
            Fatal: `Code.FOLDER_IN_USE`, `Code.STORE_NEWER`, `Code.LEDGER_OLDER`, `Code.STORE_DAMAGED`,
                `Code.DISK_FULL`, `Code.SETTINGS_INVALID`.
        """
        self.path = str(path)
        self._head: Head | None = None
        self._params = LedgerParams()
        self._members: dict[str, Member] = {}
        self._issuer_states: dict[str, IssuerState] = {}
        self._validators: dict[str, ValidatorRecord] = {}
        self._misbehavior: dict[str, Misbehavior] = {}
        self._records: dict[str, Mapping[str, bytes]] = {}
        self._trees: StateTrees | None = None
        self._awaited_pages = _LOG_PAGES_MAX
        """Of the log, from which on a commit waits for those who read it."""
        self._issuers: dict[str, int] = {}
        """Numbers of those members that have events."""
        with ExitStack() as resources:
            if self.path != MEMORY:
                lock = acquire_file_lock(
                    Path(f"{self.path}.lock"),
                    lambda holder: f"Another process works with {self.path}: process {holder}.",
                )
                resources.callback(os.close, lock)
            with self.failures():
                self.connection = apsw.Connection(self.path)
                resources.callback(self.connection.close)
                self._copier = LogCopier(self.path)
                resources.callback(self._copier.close)
                self.connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
                register_functions(self.connection)
                self._prepare()
            self._tables = TreeTables(self.connection)
            self.reload()
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
    def position(self) -> int:
        """Position of the newest event; 0 before the first."""
        return self.head.position

    @property
    def params(self) -> LedgerParams:
        """The ledger's limits."""
        return self._params

    @property
    def ruleset(self) -> str:
        """Name of the rule set that judges."""
        return self.trees.sections.ruleset

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section without a type of its own here, as it is stored."""
        return self._records.get(section, {}).get(key)

    def records(self, section: str) -> Mapping[str, bytes]:
        """All records of such a section, in the order of their keys."""
        return self._records.get(section, {})

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

    @property
    def validators(self) -> Mapping[str, ValidatorRecord]:
        """Every validator since the genesis, by its address."""
        return self._validators

    @property
    def trees(self) -> StateTrees:
        """What `app_hash` commits to."""
        assert self._trees is not None, "a ledger has no trees before its genesis"
        return self._trees

    def has_misbehavior(self, evidence_id: str) -> bool:
        """Whether that evidence is recorded."""
        return evidence_id in self._misbehavior

    def issuer(self, did: str) -> IssuerState:
        """What is remembered of an issuer's batches."""
        return self._issuer_states.get(did) or IssuerState(did)

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""
        number = self._issuers.get(issuer)
        if number is None:
            return False
        row = self._row(
            "SELECT 1 FROM used_id WHERE id = ? AND issuer = ?", (uuid.UUID(event_id).bytes, number)
        )
        return row is not None

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, when the file does not hold what was committed.
        """
        return self.trees.claims.claim(issuer, key)

    def claims(self, issuer: str, keys: Sequence[str]) -> Mapping[str, Claim]:
        """The issuer's claims on those of the entity keys that it has some on; see `claim`."""
        return self.trees.claims.claims(issuer, keys)

    # -- writing ---------------------------------------------------------------------------------------------

    def write_genesis(
        self, app_state: AppState, time_ms: int, validators: Mapping[str, int] | None = None
    ) -> None:
        """Write the genesis over any state; the engine asks for it only when it has no blocks.

        Args:
            app_state: Members and limits.
            time_ms: Of the genesis.
            validators: Voting power of the engine's validators, by public key in hex.
        """
        effects = genesis_effects(
            app_state, time_ms, validators or {}, RULESETS[app_state.ruleset].begin_ledger
        )
        with self._transaction():
            for table in TABLES:
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608
            self._tables.write(effects.trees)
            row = _head_row(effects.head, effects.trees.sections)
            self.connection.execute(insert_sql("head", HeadRow), row)
        self.reload()
        assert self.head == effects.head, "what was written is what is read"
        assert self._params == app_state.params, "what was written is what is read"

    def persist(self, effects: BlockEffects) -> None:
        """Write a block's effects, durably, as one transaction.

        Raises:
            Fatal: `Code.DISK_FULL` or `Code.STORE_DAMAGED`; nothing of the block is written.
        """
        assert effects.head.height > self.head.height, "blocks are persisted in order"
        assert effects.head.position == self.head.position + len(effects.events), "positions have no gaps"
        with self._transaction():
            issuers = self._write(effects, has_checkpoint=bool(effects.events))
        self.copy_log()
        self._take_over(effects, issuers)

    @contextmanager
    def staged(self, *, is_begun: bool = False) -> Iterator[Callable[[BlockEffects, bool], None]]:
        """Write what blocks change as one transaction, however many they are.

        Yields what adds the changes of some blocks, and says whether `app_hash` is known to be that of the
        state after them, which a checkpoint needs. Whatever is raised in between undoes all of it.

        Args:
            is_begun: Whether the transaction has begun, with a snapshot that the blocks follow.

        Raises:
            Fatal: `Code.DISK_FULL` or `Code.STORE_DAMAGED`.
        """

        def stage(effects: BlockEffects, is_known: bool) -> None:
            assert effects.head.position == self.head.position + len(effects.events), "positions have no gaps"
            self._take_over(effects, self._write(effects, has_checkpoint=is_known))

        try:
            with self._transaction(is_begun=is_begun):
                yield stage
        except BaseException:
            self.reload()
            raise
        self.copy_log()

    def _write(self, effects: BlockEffects, *, has_checkpoint: bool) -> dict[str, int]:
        """Write changes within a transaction; the numbers of their issuers."""
        issuers = write_events(self.connection, effects, has_checkpoint=has_checkpoint)
        self._tables.write(effects.trees)
        self.connection.execute(_WRITE_HEAD, _head_row(effects.head, effects.trees.sections))
        return issuers

    def _take_over(self, effects: BlockEffects, issuers: Mapping[str, int]) -> None:
        """Make changes that are written a part of what is in memory."""
        self._head = effects.head
        self.trees.apply(effects.trees)
        self._issuer_states |= {issuer.did: issuer for issuer in effects.issuers}
        self._issuers |= issuers
        self._validators |= {validator.address: validator for validator in effects.validators}
        self._misbehavior |= {one.evidence_id: one for one in effects.misbehavior}
        self._params = effects.params
        for section, changes in effects.records.items():
            merged = {**self._records.get(section, {}), **changes}
            self._records[section] = {
                key: body for key in sorted(merged) if (body := merged[key]) is not None
            }
        if effects.members:
            changed = self._members | {member.did: member for member in effects.members}
            self._members = {did: changed[did] for did in sorted(changed)}

    def copy_log(self) -> None:
        """Copy the write-ahead log into the database when it is long, so that it begins anew.

        It does so by itself once all of it is copied, beside the blocks (`LogCopier`), and nobody reads what
        is in it. Beside readers whose transactions overlap all the time that never happens: then a commit
        waits until those who read have ended, while new ones read the database alone. Whoever reads for
        longer than that, as a snapshot of a large state does, holds up one commit, and another one when the
        log is longer by a quarter; the log retains everything.

        The longer the log, the fewer pages are copied: one that many blocks change is copied once.
        """
        with contextlib.suppress(apsw.Error):
            pages, copied = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            if pages < _LOG_PAGES_MAX:
                self._awaited_pages = _LOG_PAGES_MAX
            is_long = pages >= self._awaited_pages
            has_little_left = pages - copied <= _LOG_REST_PAGES or 4 * pages >= 5 * self._awaited_pages
            if is_long and has_little_left:
                self._awaited_pages = pages + pages // 4
                timeout_ms = int(_LOG_BUSY_TIMEOUT_MS * (pages / _LOG_PAGES_MAX) ** 2)
                self.connection.set_busy_timeout(min(timeout_ms, _LOG_BUSY_TIMEOUT_MAX_MS))
                with self._copier.paused():
                    self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            elif is_long or pages - copied >= _LOG_PAGES:
                self._copier.start_copy()
        self.connection.set_busy_timeout(_BUSY_TIMEOUT_MS)

    def copy_log_beside(self) -> bool:
        """Have a long log copied beside the blocks; whether it is not copied yet."""
        with contextlib.suppress(apsw.Error):
            pages, copied = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            if pages - copied >= _LOG_PAGES:
                self._copier.start_copy()
                return True
        return False

    def close(self) -> None:
        """Close the file, and let another process work with it."""
        self._resources.close()

    # -- the file --------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        version = schema_version(
            self.connection, str(self.path), APPLICATION_ID, SCHEMA_VERSION, "the state of a ledger"
        )
        if 0 < version < SCHEMA_OLDEST:
            raise Fatal(
                Code.LEDGER_OLDER,
                f"The ledger in {self.path} was founded under the rules of version {version}; this release has those of "
                f"{SCHEMA_OLDEST} and later. Export the catalogue with the release before, found the league anew, and import it: "
                "docs/operators/recover.md says how.",
            )
        self.connection.pragma("journal_mode", "wal")
        self.connection.pragma("synchronous", "full")
        self.connection.pragma("wal_autocheckpoint", 0)  # `copy_log` does it
        self.connection.pragma("temp_store", "memory")
        if 0 < version < SCHEMA_VERSION:
            try:
                migrate(self.connection, version)
            except (apsw.ConstraintError, msgspec.DecodeError) as error:
                raise self._damaged(str(error)) from error
        if version == 0:
            with self.connection:
                self.connection.execute(SCHEMA)
                self.connection.pragma("application_id", APPLICATION_ID)
                self.connection.pragma("user_version", SCHEMA_VERSION)

    def reload(self) -> None:
        """Read the state anew from its file.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, `Code.RULES_DIFFER`.
        """
        with self.failures():
            row = self._row(select_sql("head", HeadRow), ())
            if row is None:
                self._head = self._trees = None
                return
            head = HeadRow._make(row)
            if head.ruleset not in map(rules_digest, RULESETS):
                raise self._rules_differ(head.ruleset)
            try:
                sections = Sections.decoded(head.sections)
                if rules_digest(sections.ruleset) != head.ruleset:
                    raise self._damaged("the rules are others than those of its sections")
                trees = self._tables.load(sections, head.events)
                self._params = PARAMETERS.read(sections.content("parameters"))
                self._records = {
                    section: dict(self._tables.records(section))
                    for section in record_sections(sections.ruleset)
                    if section not in RECORD_TABLES
                }
                self._members = {one.did: one for one in self._bodies("member", "did", MEMBER)}
                self._issuer_states = {one.did: one for one in self._bodies("issuer", "did", ISSUER)}
                self._validators = {
                    one.address: one for one in self._bodies("validator", "address", VALIDATOR)
                }
                self._misbehavior = {
                    one.evidence_id: one for one in self._bodies("misbehavior", "evidence_id", MISBEHAVIOR)
                }
            except (TreeMissing, Refused, msgspec.DecodeError, TypeError) as error:
                raise self._damaged(str(error)) from error
            self._issuers = dict(
                self.connection.execute(
                    "SELECT text, number FROM name WHERE text IN (SELECT did FROM issuer)"
                )
            )
            self._trees = trees
            self._head = Head(head.height, head.time_ms, trees.edge.frontier(), head.app_hash)
            problem = find_contradiction(self.connection, head, trees)
        if problem is not None:
            raise self._damaged(problem)

    def _bodies(self, table: str, key: str, form: StructForm[StructT]) -> Iterator[StructT]:
        """The records of a table, in the order of their keys."""
        for name, body in self.connection.execute(f"SELECT {key}, body FROM {table} ORDER BY {key}"):  # noqa: S608
            value = form.read(body)
            if getattr(value, key) != name:
                raise self._damaged(f"the key of {name} in {table} is another than its record's")
            yield value

    def _rules_differ(self, digest: str) -> Fatal:
        own = ", ".join(f"{name}, {rules_digest(name)[:16]}" for name in RULESETS)
        return Fatal(
            Code.RULES_DIFFER,
            f"The ledger in {self.path} was made by other rules ({digest[:16]}) than those of this release "
            f"({own}). Run the release that the other members run; docs/operators/recover.md says how.",
        )

    def _damaged(self, problem: str) -> Fatal:
        return Fatal(Code.STORE_DAMAGED, f"{self.path} contradicts itself ({problem}). {_REBUILD}")

    def _row(self, sql: str, bindings: Sequence[Any]) -> tuple[Any, ...] | None:
        return self.connection.execute(sql, bindings).fetchone()

    def _number(self, sql: str, bindings: Sequence[Any]) -> int:
        row = self._row(sql, bindings)
        assert row is not None, sql
        return int(row[0])

    @contextmanager
    def _transaction(self, *, is_begun: bool = False) -> Iterator[None]:
        """All of it or nothing. SQLite itself ends a transaction for which the disk has no room."""
        with self.failures():
            if not is_begun:
                self.connection.execute("BEGIN IMMEDIATE")
            assert self.connection.in_transaction, "what has begun has not ended"
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn a failure of SQLite into the `Fatal` that tells the operator what to do."""
        try:
            yield
        except apsw.Error as error:
            failure = database_failure(error, self.path, _REBUILD)
            if failure is None:
                raise
            raise failure from error


_REBUILD: Final = "Remove it (with its -wal and -shm): the ledger is rebuilt from the engine's blocks."


def _head_row(head: Head, sections: Sections) -> HeadRow:
    return HeadRow(
        height=head.height,
        time_ms=head.time_ms,
        events=head.tree.size,
        app_hash=head.app_hash,
        sections=sections.encoded(),
        ruleset=rules_digest(sections.ruleset),
    )
