"""Makes a marketplace's folder of a backup.

The whole file is checked before anything is written: its form, the paths, sizes and hashes of all parts. The
folder is then made under another name, and gets its own when it is complete, so that a restore that is
interrupted leaves no folder that looks whole.

What the validator had signed at the time of the backup is not put back in place: it has signed since, and
with that memory it would sign a second time. The new folder is marked instead, so that its validator observes
first (`hansa.node.validator`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, HansaError, Refused
from hansa.core.files import is_missing, read_failure, sync_folder, write_failure, write_file
from hansa.node.backup.archive import ArchiveReader, Manifest, Part, Progress
from hansa.node.backup.contents import SIGNED
from hansa.node.folder import LEDGER, RESTORED
from hansa.node.folder.disk import free_bytes
from hansa.node.folder.permissions import close_to_others
from hansa.node.settings.loading import load_settings
from hansa.node.validator.observing import Observing, Reason, write_observing
from hansa.pubsub.engine import SigningState, parse_signing_state, write_signing_state


def verify_backup(file: Path, progress: Progress = lambda _: None) -> Manifest:
    """Read all of a backup and check it.

    Raises:
        Refused: `Code.BACKUP_INVALID`, saying what is wrong.
        Fatal: `Code.SETTINGS_INVALID` (missing, or cannot be read), `Code.STORE_NEWER`.
    """
    with _opened(file) as archive:
        return _verify(archive, file, progress)


def restore_backup(
    file: Path,
    folder: Path,
    clock: Clock,
    *,
    signs_now: bool = False,
    takes_newer: bool = False,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Make the folder of a marketplace from a backup.

    Args:
        file: The backup.
        folder: Does not exist, or is empty.
        clock: For the time of the mark.
        signs_now: Whether its validator signs at once. Only right when the original has signed nothing since
            the backup, or nobody remembers what it signed.
        takes_newer: Whether the marketplace takes newer versions of its own entities from the league,
            before it announces anything (`hansa.replication.continuity.restored_store`).
        progress: Gets the number of bytes done since its last call; each byte is read twice.

    Raises:
        Refused: `Code.BACKUP_INVALID`, `Code.CONFLICT` (the folder is not empty), `Code.INVALID` (it cannot
            sign now, because the backup does not say what was signed).
        Fatal: `Code.SETTINGS_INVALID`, `Code.DISK_FULL`, `Code.STORE_NEWER`.
    """
    _check_folder(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    with _opened(file) as archive:
        manifest = _verify(archive, file, progress)
        _check_space(folder.parent, manifest)
        archive.seek(0)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            signed = _extract(ArchiveReader(archive, file), manifest, partial, progress)
            _mark(partial, signed, clock, signs_now=signs_now)
            if takes_newer:
                write_file(partial / RESTORED, f"{rfc3339(clock.now())}\n".encode())
            close_to_others(partial)
            for parent, _, _ in os.walk(partial):
                sync_folder(Path(parent))
            partial.replace(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise write_failure(folder, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return manifest


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The backup, open for reading; it stays the same file, whatever happens to its name."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise read_failure(file, error, "Give the name of a backup.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(Code.BACKUP_INVALID, f"{file} is not a file.")
    with os.fdopen(descriptor, "rb") as archive:
        try:
            yield archive
        except OSError as error:
            raise read_failure(file, error) from error


def _verify(archive: BinaryIO, file: Path, progress: Progress) -> Manifest:
    reader = ArchiveReader(archive, file)
    manifest = reader.manifest()
    for part in manifest.parts:
        for chunk in reader.chunks(part):
            progress(len(chunk))
    reader.end()
    return manifest


def _check_folder(folder: Path) -> None:
    if is_missing(folder.parent):
        raise Fatal(Code.SETTINGS_INVALID, f"{folder.parent} is missing: make that folder first.")
    if is_missing(folder):
        return
    try:
        is_usable = folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
    except OSError as error:
        raise read_failure(folder, error) from error
    if not is_usable:
        raise Refused(
            Code.CONFLICT,
            f"{folder} exists and is not an empty folder. Nothing is restored over a marketplace: choose another "
            "folder, or move this one away.",
        )
    if folder.is_mount():
        raise Refused(
            Code.CONFLICT,
            f"{folder} is a mount point, which no folder can replace. Restore into a folder in it.",
        )


def _check_space(parent: Path, manifest: Manifest) -> None:
    free = free_bytes(parent)
    if manifest.size_bytes > free:
        raise Fatal(
            Code.DISK_FULL, f"{parent} has {free:,} bytes free; the backup needs {manifest.size_bytes:,}."
        )


def _extract(
    reader: ArchiveReader, manifest: Manifest, folder: Path, progress: Progress
) -> SigningState | None:
    """Write all parts; what the validator had signed, if the backup says so."""
    if reader.manifest() != manifest:
        raise Refused(Code.BACKUP_INVALID, "The backup changed while it was read. Nothing was restored.")
    signed = None
    for part in manifest.parts:
        if part.path == SIGNED.as_posix():
            signed = parse_signing_state(b"".join(reader.chunks(part)))
        else:
            _write_part(reader, part, folder / part.path, progress)
    reader.end()
    return signed


def _write_part(reader: ArchiveReader, part: Part, path: Path, progress: Progress) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in reader.chunks(part):
            file.write(chunk)
            progress(len(chunk))
        file.flush()
        os.fsync(file.fileno())


def _mark(folder: Path, signed: SigningState | None, clock: Clock, *, signs_now: bool) -> None:
    if not _has_validator(folder):
        return
    if not signs_now:
        write_observing(folder, Observing(rfc3339(clock.now()), Reason.RESTORED, signed))
    elif signed is None:
        raise Refused(
            Code.INVALID,
            "The backup does not say what the validator had signed, so it must not sign at once. Restore it "
            "without --sign-now.",
        )
    else:
        write_signing_state(folder / LEDGER, signed)


def _has_validator(folder: Path) -> bool:
    """Whether the marketplace of a folder runs one; where its settings cannot be read, it may."""
    try:
        return load_settings(folder, {}).bus != "light"
    except HansaError:
        return True
