"""The form of a backup: a tar archive (POSIX ustar) of one exact form.

    manifest.json     what the backup is of, and each part's path, size and SHA-256; JSON in one exact form
    manifest.sha256   the hash of that, as `sha256sum` writes it
    parts             the files, in the order of the manifest
    end               two blocks of zeros, and nothing after them

Any tar program can list and extract it. It is read here without one: each header has to be, byte for byte,
what this module writes for the manifest's entry. So there is nothing for a prepared archive to play with: no
links, devices, long names, extensions, second entries of one name, or bytes that nobody checks.

The hashes protect against damage, not against somebody who writes another backup: who can replace the file
can replace the manifest too.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal, Refused
from hansa.node.backup.contents import REQUIRED, is_restorable

FORMAT: Final = "hansa-backup"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
MANIFEST_HASH: Final = "manifest.sha256"

BLOCK_BYTES: Final = 512
CHUNK_BYTES: Final = 1_048_576
MANIFEST_SIZE_MAX_BYTES: Final = 33_554_432
PARTS_MAX: Final = 200_000
SIZE_MAX_BYTES: Final = 2**50
END: Final = bytes(2 * BLOCK_BYTES)

_NAME_BYTES, _PREFIX_BYTES = 100, 155
_OCTAL_SIZE_MAX: Final = 8**11 - 1
_SHA256: Final = re.compile("[0-9a-f]{64}", re.ASCII)

Progress = Callable[[int], None]
"""Gets the number of bytes that were done since the last call."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    path: str
    """Below the folder."""
    size_bytes: int
    sha256: str
    """Of its content, hex."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup is of, and what it holds."""

    format: str
    version: int
    """Of the form of the file."""
    release: str
    """Of Hansa that wrote it."""
    time: str
    """When it was begun; RFC 3339."""
    name: str
    did: str
    chain_id: str
    has_ledger: bool
    """Whether the ledger's state and blocks are in it."""
    parts: tuple[Part, ...]
    """Ordered by path."""

    @property
    def size_bytes(self) -> int:
        """Size of all parts together."""
        return sum(part.size_bytes for part in self.parts)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest, hex: equal for equal contents, so it names the backup."""
        return hashlib.sha256(encode_manifest(self)).hexdigest()


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest in its one form."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def leading_entries(content: bytes) -> bytes:
    """What a backup begins with: the manifest and its hash."""
    sums = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()
    entries = ((MANIFEST, content), (MANIFEST_HASH, sums))
    return b"".join(header(name, len(body)) + body + padding(len(body)) for name, body in entries)


def decode_manifest(content: bytes, shown: Path) -> Manifest:
    """A manifest in its one form, with parts that a marketplace's folder can have, each once.

    Raises:
        Refused: `Code.BACKUP_INVALID`.
        Fatal: `Code.STORE_NEWER`, when a newer release wrote it.
    """
    try:
        version = msgspec.json.decode(content, type=_Version)
        if version.format == FORMAT and version.version > VERSION:
            raise Fatal(
                Code.STORE_NEWER,
                f"{shown} was written by a newer release of Hansa (form {version.version}; this one reads up to "
                f"{VERSION}).",
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except UNREADABLE as error:
        raise _invalid(shown, "its manifest cannot be read") from error
    if encode_manifest(manifest) != content or manifest.format != FORMAT or manifest.version != VERSION:
        raise _invalid(shown, "its manifest is not of the form that Hansa writes")
    problem = _problem_of_parts(manifest)
    if problem is not None:
        raise _invalid(shown, problem)
    return manifest


def _problem_of_parts(manifest: Manifest) -> str | None:
    """What keeps the parts from being those of a marketplace's folder; None when nothing does."""
    paths = [part.path for part in manifest.parts]
    if len(paths) > PARTS_MAX or manifest.size_bytes > SIZE_MAX_BYTES:
        return "it has too many parts, or too large ones"
    if not all(part.size_bytes >= 0 and _SHA256.fullmatch(part.sha256) for part in manifest.parts):
        return "a size or a hash is not valid"
    if any(first >= second for first, second in pairwise(paths)):
        return "its parts are not in order, or one is there twice"
    unknown = next((path for path in paths if not is_restorable(path)), None)
    if unknown is not None:
        return f"it has a part that no marketplace's folder has: {unknown[:100]!a}"
    if not {str(path) for path in REQUIRED} <= set(paths):
        return "a file is missing that every marketplace has"
    return "a part lies below another" if _is_inside_another(paths) else None


class _Version(msgspec.Struct):
    format: str
    version: int


def _is_inside_another(paths: list[str]) -> bool:
    files = set(paths)
    return any(str(parent) in files for path in paths for parent in Path(path).parents)


def header(path: str, size_bytes: int) -> bytes:
    """The header of a part: a regular file, for its owner alone, without time, user and group.

    Raises:
        Refused: `Code.INVALID`, when the path is too long for the form.
    """
    name, prefix = path.encode(), b""
    if len(name) > _NAME_BYTES:
        cut = name.find(b"/", len(name) - _NAME_BYTES - 1)
        prefix, name = name[: max(cut, 0)], name[cut + 1 :]
    if not 0 < len(name) <= _NAME_BYTES or len(prefix) > _PREFIX_BYTES:
        raise Refused(Code.INVALID, f"The path {path} is too long for a backup.")
    is_octal = size_bytes <= _OCTAL_SIZE_MAX
    size = f"{size_bytes:011o}\0".encode() if is_octal else b"\x80" + size_bytes.to_bytes(11)
    fields = [name.ljust(100, b"\0"), b"0000600\0", b"0000000\0", b"0000000\0", size, b"00000000000\0"]
    rest = [b"0", bytes(100), b"ustar\x0000", bytes(32 + 32 + 8 + 8), prefix.ljust(155, b"\0"), bytes(12)]
    checksum = sum(b"".join([*fields, b" " * 8, *rest]))
    block = b"".join([*fields, f"{checksum:06o}\0 ".encode(), *rest])
    assert len(block) == BLOCK_BYTES, "a header is one block"
    return block


def padding(size_bytes: int) -> bytes:
    """Zeros that fill the last block of a part."""
    return bytes(-size_bytes % BLOCK_BYTES)


class ArchiveReader:
    """Reads a backup from its beginning to its end, once; every byte is checked.

    Args:
        file: Open for reading, at its beginning.
        shown: How messages name it.
    """

    def __init__(self, file: BinaryIO, shown: Path) -> None:
        self._file = file
        self._shown = shown

    def manifest(self) -> Manifest:
        """The manifest, which is read first.

        Raises:
            Refused: `Code.BACKUP_INVALID`.
            Fatal: `Code.STORE_NEWER`.
        """
        block = self._file.read(BLOCK_BYTES)
        digits = block[124:135]
        size = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits) else -1
        if not 0 <= size <= MANIFEST_SIZE_MAX_BYTES or block != header(MANIFEST, size):
            raise _invalid(self._shown, "it does not begin as one")
        content = self._file.read(size)
        expected = leading_entries(content)[len(block) + len(content) :]
        if len(content) != size or self._file.read(len(expected)) != expected:
            raise _invalid(self._shown, "its manifest is damaged")
        return decode_manifest(content, self._shown)

    def chunks(self, part: Part) -> Iterator[bytes]:
        """The content of the next part, in pieces. Its hash is checked at the end of the last one.

        Raises:
            Refused: `Code.BACKUP_INVALID`.
        """
        if self._file.read(BLOCK_BYTES) != header(part.path, part.size_bytes):
            raise _invalid(self._shown, f"{part.path} does not begin where it should")
        digest, left = hashlib.sha256(), part.size_bytes
        while left:
            chunk = self._file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise _invalid(self._shown, f"it ends within {part.path}")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        if digest.hexdigest() != part.sha256:
            raise _invalid(self._shown, f"{part.path} is not what was backed up: its hash differs")
        self._skip_padding(part.size_bytes)

    def end(self) -> None:
        """Check that nothing follows.

        Raises:
            Refused: `Code.BACKUP_INVALID`.
        """
        if self._file.read(len(END) + 1) != END:
            raise _invalid(self._shown, "it does not end where it should")

    def _skip_padding(self, size_bytes: int) -> None:
        expected = padding(size_bytes)
        if self._file.read(len(expected)) != expected:
            raise _invalid(self._shown, "there is something between its parts")


def sha256_of(path: Path, progress: Progress) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            progress(len(chunk))
    return size, digest.hexdigest()


def _invalid(shown: Path, problem: str) -> Refused:
    return Refused(Code.BACKUP_INVALID, f"{shown} is not a usable backup: {problem}. Nothing was restored.")
