"""Writes a backup, while the marketplace runs or not.

The databases are copied by SQLite itself within one read transaction, so each copy is the state after one
commit, and writers go on meanwhile. Everything is read twice: once for the manifest, which comes first, and
once for the archive; a file that changed in between ends the attempt. The archive appears under its name when
all of it is on the disk.

The ledger is left out unless requested, because the other members have it, and because the engine's blocks
can be copied only while the engine does not run. In a league of one member nobody else has it; it is then
part of the backup.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import apsw

from hansa import __version__
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable
from hansa.core.files import is_missing, read_failure, sync_folder, write_failure
from hansa.node.backup.archive import (
    CHUNK_BYTES,
    END,
    FORMAT,
    VERSION,
    Manifest,
    Part,
    Progress,
    encode_manifest,
    header,
    leading_entries,
    padding,
    sha256_of,
)
from hansa.node.backup.contents import DATABASES, EMPTIED_TABLES, LEDGER_PARTS, files_of, is_restorable
from hansa.node.folder import JOINING, LOCK, finish_rotation, load_genesis
from hansa.node.folder.disk import free_bytes
from hansa.node.folder.lock import FolderLock
from hansa.node.joining.mark import encode_joining
from hansa.node.joining.returning import joining_when_restored
from hansa.node.membership.registered import has_other_members
from hansa.node.settings.loading import load_settings

PAGES_PER_STEP: Final = 4096
BUSY_TIMEOUT_MS: Final = 10_000
COPIED_MAX_BYTES: Final = 1_048_576
"""Smaller files are copied first: what the validator has signed is written anew several times a second."""


def write_backup(
    folder: Path,
    file: Path,
    clock: Clock,
    *,
    has_ledger: bool | None = None,
    is_replaced: bool = False,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Write a backup of a marketplace's folder.

    Args:
        folder: The marketplace's.
        file: The backup's.
        clock: For its time.
        has_ledger: Whether the ledger is part of it; None: in a league of one member.
        is_replaced: Whether an existing file may be replaced.
        progress: Gets the number of bytes done since its last call; each byte is read twice.

    Raises:
        Refused: `Code.CONFLICT`, when the file exists already.
        Fatal: `Code.SETTINGS_INVALID` (not a whole marketplace, something cannot be read or written),
            `Code.FOLDER_IN_USE` (with the ledger, while the marketplace runs), `Code.DISK_FULL`,
            `Code.STORE_DAMAGED`.
        Unavailable: a file changed while it was read.
    """
    settings = load_settings(folder, {})
    finish_rotation(folder)
    _, genesis = load_genesis(folder)
    with_ledger = not has_other_members(folder, settings, genesis) if has_ledger is None else has_ledger
    _check_target(folder, file, is_replaced=is_replaced)
    with contextlib.ExitStack() as stack:
        if with_ledger and not all(is_missing(folder / path) for path in LEDGER_PARTS):
            stack.enter_context(_stopped(folder, is_requested=has_ledger is True))
        archive = stack.enter_context(_partial(file))
        sources = dict(_sources(folder, file, with_ledger, stack))
        joining = joining_when_restored(folder, settings.did)
        if joining is not None:
            sources[JOINING.as_posix()] = _written(
                encode_joining(joining), file.with_name(f".{file.name}.{JOINING}.partial"), stack
            )
        _check_space(file, sources)
        parts = tuple(Part(path, *_hash_of(source, progress)) for path, source in sorted(sources.items()))
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            release=__version__,
            time=rfc3339(clock.now()),
            name=settings.name,
            did=settings.did,
            chain_id=genesis.chain_id,
            has_ledger=with_ledger,
            parts=parts,
        )
        _write(archive, manifest, sources, file, progress)
        partial = _partial_name(file)
        try:
            partial.replace(file)
            sync_folder(file.parent)
        except OSError as error:
            raise write_failure(file, error) from error
    return manifest


def _check_target(folder: Path, file: Path, *, is_replaced: bool) -> None:
    if is_missing(file.parent):
        raise Fatal(Code.SETTINGS_INVALID, f"{file.parent} is missing: make the folder for the backup first.")
    if file.resolve().is_relative_to(folder.resolve()):
        raise Refused(
            Code.INVALID, f"{file} lies in {folder}: a backup is of no use where it is lost with it."
        )
    if not is_missing(file) and not is_replaced:
        raise Refused(
            Code.CONFLICT, f"{file} exists already. Choose another name, or replace it with --force."
        )
    if file.is_dir():
        raise Refused(Code.CONFLICT, f"{file} is a folder; give the name of a file.")


@contextlib.contextmanager
def _stopped(folder: Path, *, is_requested: bool) -> Iterator[None]:
    """Hold the lock of the folder, so that nothing writes the ledger."""
    why = "" if is_requested else "This is a league of one member: nobody else has its ledger. "
    lock = FolderLock(folder / LOCK, str(folder))
    try:
        lock.__enter__()
    except Fatal as error:
        if error.code is not Code.FOLDER_IN_USE:
            raise
        raise Fatal(
            error.code,
            f"{why}A backup with the ledger needs the marketplace to be stopped, for as long as the copy takes. "
            "Stop it, or leave the ledger out with --without-ledger.",
        ) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _partial_name(file: Path) -> Path:
    return file.with_name(f".{file.name}.partial")


@contextlib.contextmanager
def _partial(file: Path) -> Iterator[BinaryIO]:
    """The unfinished backup, open for writing; removed unless it has got its name in the meantime."""
    partial = _partial_name(file)
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise write_failure(partial, error) from error
    with os.fdopen(descriptor, "r+b") as archive:
        try:
            fcntl.flock(archive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Fatal(Code.FOLDER_IN_USE, f"Another backup is being written to {file}.") from error
        archive.truncate(0)
        os.fchmod(archive.fileno(), 0o600)
        try:
            yield archive
        finally:
            partial.unlink(missing_ok=True)


def _sources(
    folder: Path, file: Path, with_ledger: bool, stack: contextlib.ExitStack
) -> Iterator[tuple[str, Path]]:
    """Where the content of each part is read: copies of databases and small files, or the files themselves.

    What is large and no database does not change while the marketplace runs.
    """
    for number, path in enumerate(files_of(folder, has_ledger=with_ledger)):
        if not is_restorable(path.as_posix()):
            raise Refused(
                Code.INVALID, f"{folder / path} has a name that no backup can hold. Rename or remove it."
            )
        if path not in DATABASES:
            yield (
                path.as_posix(),
                _copy_of(folder / path, file.with_name(f".{file.name}.{number}.partial"), stack),
            )
            continue
        copy = file.with_name(f".{file.name}.{path.name}.partial")
        stack.callback(_remove_database, copy)
        _copy_database(folder / path, copy)
        yield path.as_posix(), copy


def _copy_of(source: Path, copy: Path, stack: contextlib.ExitStack) -> Path:
    """A copy of a small file as it is now, which is removed at the end; a large file itself."""
    try:
        with source.open("rb") as opened:  # whoever changes it puts another file in its place
            content = opened.read(COPIED_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _changed(source) from error
    except OSError as error:
        raise read_failure(source, error) from error
    return source if len(content) > COPIED_MAX_BYTES else _written(content, copy, stack)


def _written(content: bytes, copy: Path, stack: contextlib.ExitStack) -> Path:
    """A file with that content, which is removed at the end."""
    stack.callback(copy.unlink, missing_ok=True)
    try:
        copy.unlink(missing_ok=True)
        copy.touch(mode=0o600, exist_ok=False)
        copy.write_bytes(content)
    except OSError as error:
        raise write_failure(copy, error) from error
    return copy


def _copy_database(source: Path, copy: Path) -> None:
    """Copy a SQLite database as it is after one commit, while others write to it.

    Raises:
        Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`, `Code.SETTINGS_INVALID`.
    """
    _remove_database(copy)
    try:
        reader = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
        writer = apsw.Connection(str(copy))
    except (apsw.CantOpenError, apsw.IOError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{source} cannot be opened: {error}.") from error
    with contextlib.closing(reader), contextlib.closing(writer):
        try:
            reader.set_busy_timeout(BUSY_TIMEOUT_MS)
            writer.pragma("synchronous", "off")  # the copy is read once, and removed
            # Within a transaction the copy does not begin anew whenever another process commits.
            reader.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
            with writer.backup("main", reader, "main") as backup:
                while not backup.done:
                    backup.step(PAGES_PER_STEP)
            reader.execute("ROLLBACK")
            writer.pragma("journal_mode", "delete")
            _empty_tables(writer)
            state = str(writer.execute("PRAGMA quick_check(1)").get)
        except apsw.FullError as error:
            raise Fatal(Code.DISK_FULL, f"{copy} cannot be written: the disk is full.") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            state = str(error)
        except apsw.Error as error:
            raise Fatal(Code.SETTINGS_INVALID, f"{source} cannot be copied: {error}.") from error
    if state != "ok":
        raise Fatal(
            Code.STORE_DAMAGED,
            f"{source} is damaged ({state}): no backup is made of it. See docs/operators/recover.md.",
        )


def _empty_tables(copy: apsw.Connection) -> None:
    """Empty the tables of a copy that no backup has, and leave nothing of their content in free pages."""
    copy.pragma("secure_delete", "on")
    for table in EMPTIED_TABLES:
        if copy.table_exists(None, table):
            copy.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours


def _remove_database(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _check_space(file: Path, sources: dict[str, Path]) -> None:
    try:
        needed, free = sum(source.stat().st_size for source in sources.values()), free_bytes(file.parent)
    except FileNotFoundError as error:
        raise _changed(Path(error.filename or "")) from error
    except OSError as error:
        raise read_failure(file, error) from error
    if needed > free:
        raise Fatal(Code.DISK_FULL, f"{file.parent} has {free:,} bytes free; the backup needs {needed:,}.")


def _hash_of(source: Path, progress: Progress) -> tuple[int, str]:
    try:
        return sha256_of(source, progress)
    except FileNotFoundError as error:
        raise _changed(source) from error
    except OSError as error:
        raise read_failure(source, error) from error


def _write(
    archive: BinaryIO, manifest: Manifest, sources: dict[str, Path], file: Path, progress: Progress
) -> None:
    content = encode_manifest(manifest)
    try:
        archive.write(leading_entries(content))
        for part in manifest.parts:
            archive.write(header(part.path, part.size_bytes))
            _append(archive, part, sources[part.path], progress)
            archive.write(padding(part.size_bytes))
        archive.write(END)
        archive.flush()
        os.fsync(archive.fileno())
    except HansaError:
        raise
    except OSError as error:
        raise write_failure(file, error) from error


def _append(archive: BinaryIO, part: Part, source: Path, progress: Progress) -> None:
    """Append the content of a part, which has to be what the manifest says."""
    digest, size = hashlib.sha256(), 0
    try:
        opened = source.open("rb")
    except OSError as error:
        raise _changed(source) from error
    with opened:
        while chunk := opened.read(CHUNK_BYTES):
            archive.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            progress(len(chunk))
    if (size, digest.hexdigest()) != (part.size_bytes, part.sha256):
        raise _changed(source)


def _changed(source: Path) -> Unavailable:
    return Unavailable(
        Code.UNAVAILABLE, f"{source} changed while the backup was being written. Repeat the command."
    )
