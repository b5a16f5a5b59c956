"""Light blocks that a member retains: of every height that changed the state, for as long as it is a member.

The engine forgets its blocks (`ledger_blocks_retained`); what proofs need of them is here, in a file of its
own beside the ledger's state, `light.db`:

    light_block    header and commit, about 0.8 kB with four validators
    validator_set  each set once
    progress       up to which height everything was looked at, and what the header there said
    gap            heights that the engine had forgotten before they were looked at
    evidence       two light blocks of one height: proof that somebody lied

A height is retained if its block has transactions, if its header has another application hash than the one
before (so it is the one that signs the state after the block before), if it changes the validators, or if it
is the first. Heartbeats change nothing and are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import msgspec

from hansa.core.clock import Clock
from hansa.core.database_failures import database_failure, schema_version
from hansa.core.errors import Code, Fatal, Unavailable
from hansa.pubsub.light.chain.blocks import Commit, LightBlock, SignedVote
from hansa.pubsub.light.chain.header import BlockId, Header
from hansa.pubsub.light.chain.validators import LightValidator, ValidatorSet

APPLICATION_ID: Final = 0x48414E50
"""`HANP`."""
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_MS: Final = 2000
EVIDENCE_MAX: Final = 1000
"""Rows; further evidence is of no further use."""
EVIDENCE_SIZE_MAX_BYTES: Final = 1_048_576
GAPS_MAX: Final = 1000
SETS_CACHED_MAX: Final = 64
THINNED_EVERY: Final = 1000
"""Light blocks, between two looks at how many there are."""
WAIT_POLL_S: Final = 0.05

_MADE_ANEW: Final = (
    "Remove it, with its -wal and -shm: it is made anew from the engine and from the other members."
)

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE validator_set (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE light_block (
    height INTEGER PRIMARY KEY,
    validators INTEGER NOT NULL REFERENCES validator_set,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX light_block_validators ON light_block (validators, height);
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    height INTEGER NOT NULL,
    app_hash BLOB NOT NULL,
    validators_hash BLOB NOT NULL
) STRICT;
CREATE TABLE gap (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
CREATE TABLE evidence (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    height INTEGER NOT NULL,
    source TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, height, source)
) STRICT;
"""


class Progress(msgspec.Struct, frozen=True):
    """Up to where the engine's blocks have been looked at."""

    height: int = 0
    app_hash: bytes = b""
    """In the header of that height."""
    validators_hash: bytes = b""


class Gap(msgspec.Struct, frozen=True):
    """Heights of which nothing is retained, though some may be needed."""

    first: int
    last: int


class LedgerEvidence(msgspec.Struct, frozen=True):
    """Proof that somebody lied, or that the ledger has forked."""

    kind: str
    """`fork`: two valid light blocks of a height; `forged-header`: the other one is not valid."""
    height: int
    source: str
    """Who sent the other one: a member's DID, or an address."""
    body: bytes
    """JSON."""


_Body = tuple[tuple[Any, ...], tuple[Any, ...]]


class CapturedBlocks:
    """The file. Blocking; used by one thread at a time."""

    def __init__(self, path: Path | str) -> None:
        """Open or create.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, `Code.STORE_NEWER`, `Code.DISK_FULL`, `Code.SETTINGS_INVALID`.
        """
        self.path = str(path)
        self._sets: dict[int, ValidatorSet] = {}
        with self._failures():
            self._connection = apsw.Connection(self.path)
            self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            self._prepare()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # -- reading ---------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """Up to where the engine's blocks have been looked at."""
        rows = self._rows("SELECT height, app_hash, validators_hash FROM progress")
        return Progress(*rows[0]) if rows else Progress()

    def block(self, height: int) -> LightBlock | None:
        """The light block of a height."""
        return self._first("SELECT height, validators, body FROM light_block WHERE height = ?", height)

    def newest(self, at_most: int = 2**62) -> LightBlock | None:
        """The last light block up to a height."""
        return self._first(
            "SELECT height, validators, body FROM light_block WHERE height <= ? ORDER BY height DESC LIMIT 1",
            at_most,
        )

    def signing(self, app_hash: bytes, tries_max: int = 64) -> LightBlock | None:
        """The first light block whose header has an application hash, among the newest ones."""
        match: LightBlock | None = None
        for row in self._connection.execute(
            "SELECT height, validators, body FROM light_block ORDER BY height DESC LIMIT ?", (tries_max,)
        ):
            block = self._block(*row)
            if block.header.app_hash == app_hash:
                match = block
            elif match is not None:
                break
        return match

    def after(self, height: int, limit: int) -> tuple[LightBlock, ...]:
        """Light blocks after a height, in order."""
        rows = self._rows(
            "SELECT height, validators, body FROM light_block WHERE height > ? ORDER BY height LIMIT ?",
            (height, limit),
        )
        return tuple(self._block(*row) for row in rows)

    def set_changes(self, first: int, last: int) -> tuple[int, ...]:
        """Heights between two at which a validator set commits first or last, in order."""
        rows = self._rows(
            "SELECT (SELECT min(height) FROM light_block WHERE validators = number AND height BETWEEN ?1 AND ?2),"
            " (SELECT max(height) FROM light_block WHERE validators = number AND height BETWEEN ?1 AND ?2)"
            " FROM validator_set",
            (first, last),
        )
        return tuple(sorted({height for row in rows for height in row if height is not None}))

    def count(self) -> int:
        """How many light blocks there are."""
        return int(self._rows("SELECT count(*) FROM light_block")[0][0])

    def gaps(self) -> tuple[Gap, ...]:
        """Heights of which nothing is retained, in order."""
        return tuple(Gap(*row) for row in self._rows("SELECT first, last FROM gap ORDER BY first"))

    def evidence(self) -> tuple[LedgerEvidence, ...]:
        """Proofs that somebody lied, the newest last."""
        rows = self._rows("SELECT kind, height, source, body FROM evidence ORDER BY number")
        return tuple(LedgerEvidence(*row) for row in rows)

    # -- writing ---------------------------------------------------------------------------------------------

    def write(
        self, blocks: Sequence[LightBlock], progress: Progress | None = None, gap: Gap | None = None
    ) -> None:
        """Retain light blocks, and note how far the engine's blocks have been looked at.

        Raises:
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`; nothing is written.
        """
        with self._failures(), self._connection:
            for block in blocks:
                self._connection.execute(
                    "INSERT INTO light_block (height, validators, body) VALUES (?, ?, ?)"
                    " ON CONFLICT (height) DO UPDATE SET validators = excluded.validators,"
                    " body = excluded.body",
                    (block.height, self._number_of(block.validators), _encoded(block)),
                )
            if progress is not None:
                self._connection.execute(
                    "INSERT INTO progress (one, height, app_hash, validators_hash) VALUES (1, ?, ?, ?)"
                    " ON CONFLICT (one) DO UPDATE SET height = excluded.height,"
                    " app_hash = excluded.app_hash, validators_hash = excluded.validators_hash",
                    (progress.height, progress.app_hash, progress.validators_hash),
                )
            if gap is not None and len(self.gaps()) < GAPS_MAX:
                self._connection.execute(
                    "INSERT INTO gap (first, last) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (gap.first, gap.last),
                )

    def end_gap(self, gap: Gap, filled_to: int) -> None:
        """Note that a gap is filled up to a height."""
        with self._failures(), self._connection:
            self._connection.execute("DELETE FROM gap WHERE first = ?", (gap.first,))
            if filled_to < gap.last:
                self._connection.execute(
                    "INSERT INTO gap (first, last) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (filled_to + 1, gap.last),
                )

    def add_evidence(self, evidence: LedgerEvidence) -> bool:
        """Retain evidence; False when there is some of that kind, height and source, or too much of it."""
        is_bounded = len(evidence.body) <= EVIDENCE_SIZE_MAX_BYTES
        before = int(self._rows("SELECT count(*) FROM evidence")[0][0])
        if not is_bounded or before >= EVIDENCE_MAX:
            return False
        with self._failures(), self._connection:
            self._connection.execute(
                "INSERT INTO evidence (kind, height, source, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (evidence.kind, evidence.height, evidence.source, evidence.body),
            )
        return int(self._rows("SELECT count(*) FROM evidence")[0][0]) > before

    def thin_out(self, blocks_max: int, step: int = 1000) -> int:
        """Remove the oldest light blocks beyond a number, but the last of each validator set and the first.

        Proofs of events need the newest light block and the changes of the validators; what is between two of
        them serves audits alone.
        """
        surplus = self.count() - blocks_max
        if surplus <= 0:
            return 0
        with self._failures(), self._connection:
            self._connection.execute(
                "DELETE FROM light_block WHERE height IN (SELECT height FROM light_block WHERE height NOT IN"
                " (SELECT max(height) FROM light_block GROUP BY validators"
                "  UNION SELECT min(height) FROM light_block GROUP BY validators)"
                " ORDER BY height LIMIT ?)",
                (min(surplus, step),),
            )
        return surplus - (self.count() - blocks_max)

    # -- the file --------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        version = schema_version(
            self._connection, str(self.path), APPLICATION_ID, SCHEMA_VERSION, "one of light blocks"
        )
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "normal")
        if version == 0:
            with self._connection:
                self._connection.execute(_SCHEMA)
                self._connection.pragma("application_id", APPLICATION_ID)
                self._connection.pragma("user_version", SCHEMA_VERSION)

    def _rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, bindings).fetchall()

    def _first(self, sql: str, height: int) -> LightBlock | None:
        rows = self._rows(sql, (height,))
        return self._block(*rows[0]) if rows else None

    def _block(self, height: int, validators: int, body: bytes) -> LightBlock:
        del height
        return _decoded(body, self._set(validators))

    def _set(self, number: int) -> ValidatorSet:
        known = self._sets.get(number)
        if known is None:
            rows = self._rows("SELECT body FROM validator_set WHERE number = ?", (number,))
            known = ValidatorSet(
                tuple(
                    LightValidator(*one)
                    for one in msgspec.msgpack.decode(rows[0][0], type=list[_ValidatorRow])
                )
            )
            if len(self._sets) >= SETS_CACHED_MAX:
                self._sets.clear()
            self._sets[number] = known
        return known

    def _number_of(self, validators: ValidatorSet) -> int:
        rows = self._rows("SELECT number FROM validator_set WHERE hash = ?", (validators.hash,))
        if rows:
            return int(rows[0][0])
        body = msgspec.msgpack.encode(
            [(one.public_key, one.power, one.key_type) for one in validators.validators]
        )
        self._connection.execute(
            "INSERT INTO validator_set (hash, body) VALUES (?, ?)", (validators.hash, body)
        )
        return self._connection.last_insert_rowid()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except apsw.BusyError as error:
            raise Unavailable(Code.UNAVAILABLE, f"{self.path} is in use.") from error
        except apsw.Error as error:
            known = database_failure(error, str(self.path), _MADE_ANEW)
            raise (known or Fatal(Code.STORE_DAMAGED, f"{self.path}: {error}. {_MADE_ANEW}")) from error


class BlockRetention:
    """The file of light blocks, used in a thread of its own, with a bound on how many there are.

    Args:
        blocks: The file.
        clock: For pauses.
        blocks_max: How many light blocks are retained; beyond it the oldest are thinned out.
    """

    def __init__(self, blocks: CapturedBlocks, clock: Clock, blocks_max: int) -> None:
        self._blocks = blocks
        self._clock = clock
        self._blocks_max = blocks_max
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="light-blocks")
        self._since_thinned = 0

    async def read(self, work: Callable[[CapturedBlocks], T]) -> T:
        """What `work` reads of, or writes to, the file."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._blocks)

    async def retain(
        self, blocks: Sequence[LightBlock], progress: Progress | None = None, gap: Gap | None = None
    ) -> None:
        """Retain light blocks that were verified, and thin out the oldest now and then.

        Raises:
            Fatal: the file cannot be written.
        """
        await self.read(lambda file: file.write(blocks, progress, gap))
        self._since_thinned += len(blocks)
        if self._since_thinned >= THINNED_EVERY:
            self._since_thinned = 0
            await self.read(lambda file: file.thin_out(self._blocks_max))

    async def signing(self, app_hash: bytes) -> LightBlock | None:
        """The light block whose header has an application hash that the newest state has, or had just now."""
        return await self.read(lambda file: file.signing(app_hash))

    async def wait_for(self, app_hash: bytes, timeout_s: float) -> LightBlock:
        """The same, as soon as it is there.

        Raises:
            Unavailable: it is not there in time.
        """
        until_s = self._clock.monotonic() + timeout_s
        while True:
            block = await self.signing(app_hash)
            if block is not None:
                return block
            if self._clock.monotonic() >= until_s:
                raise Unavailable(Code.UNAVAILABLE, "The block that signs the newest state is not there yet.")
            await self._clock.sleep(WAIT_POLL_S)

    def close(self) -> None:
        """Close the file."""
        self._thread.shutdown(wait=True)
        self._blocks.close()


_ValidatorRow = tuple[bytes, int, str]


def _encoded(block: LightBlock) -> bytes:
    header, commit = block.header, block.commit
    last = header.last_block_id
    return msgspec.msgpack.encode(
        (
            (
                *(header.version_block, header.version_app, header.chain_id, header.height, header.time_ns),
                *(last.hash, last.parts_total, last.parts_hash, header.last_commit_hash, header.data_hash),
                *(header.validators_hash, header.next_validators_hash, header.consensus_hash),
                *(header.app_hash, header.last_results_hash, header.evidence_hash, header.proposer_address),
            ),
            (
                *(commit.round, commit.parts_total, commit.parts_hash),
                [(vote.flag, vote.time_ns, vote.signature) for vote in commit.votes],
            ),
        )
    )


def _decoded(body: bytes, validators: ValidatorSet) -> LightBlock:
    header, commit = msgspec.msgpack.decode(body, type=_Body)
    block, app, chain_id, height, time_ns, last_hash, parts_total, parts_hash, *hashes = header
    votes = tuple(SignedVote(*vote) for vote in commit[3])
    return LightBlock(
        Header(block, app, chain_id, height, time_ns, BlockId(last_hash, parts_total, parts_hash), *hashes),
        Commit(commit[0], commit[1], commit[2], votes),
        validators,
    )
