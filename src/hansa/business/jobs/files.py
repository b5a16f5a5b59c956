"""The kinds, states and files of import and export jobs, and the signal that one may have become ready.

The content of a job is one file in a folder of the marketplace, named by a hash of the job's identifier. It
is written under a temporary name and renamed when it is complete, so that a file with the final name is
complete. Files are bounded in size and number: the oldest ones of finished jobs are removed first.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from hansa.business.models import Models, Resource
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.core.signal import Signal

IMPORT: Final = "ImportJob"
EXPORT: Final = "ExportJob"
NOT_STARTED: Final = "Not Started"
RUNNING: Final = "Running"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
UNFINISHED: Final = (NOT_STARTED, RUNNING)

ARRAY: Final = "application/json"
LINES: Final = "application/x-ndjson"
CONTENT_TYPES: Final = (LINES, ARRAY)
"""Of a job's content: one JSON object a line, or an array of objects."""

CONTENT: Final = "content"
"""Last segment of the path at which the content of a job is served."""
_PART: Final = ".part"


def is_job(resource: Resource) -> bool:
    """Whether the entities of a resource are jobs (TMF630 Part 4)."""
    return resource.type in {IMPORT, EXPORT}


class JobFiles:
    """The files of all jobs, and the signal for the runner."""

    def __init__(self, folder: Path, models: Models, clock: Clock, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self.signal = Signal(clock)
        """Notified when a job may have become ready."""
        self.collections = {
            one.collection: (api, one) for api in models.apis for one in api.resources if is_job(one)
        }
        """API and resource of each collection of jobs."""

    def file(self, job_id: str) -> Path:
        """Path of the content of a job, whether or not there is one."""
        return self._folder / hashlib.sha256(job_id.encode()).hexdigest()[:40]

    def has_content(self, job_id: str) -> bool:
        """Whether there is a content for a job."""
        return self.file(job_id).is_file()

    async def read(self, job_id: str) -> bytes | None:
        """The content of a job; None when there is none."""

        def read() -> bytes | None:
            try:
                return self.file(job_id).read_bytes()
            except FileNotFoundError:
                return None

        return await asyncio.to_thread(read)

    def open(self, job_id: str) -> ContentFile:
        """A new, empty content for a job.

        Raises:
            Unavailable: `Code.DISK_FULL`, when it cannot be written.
        """
        return ContentFile(self._folder, self.file(job_id), self._limits.job_content_max_bytes)

    def remove(self, job_id: str) -> None:
        """Remove the content of a job, if there is one."""
        self.file(job_id).unlink(missing_ok=True)

    def make_room(self, unfinished: Collection[str]) -> None:
        """Remove the oldest files beyond the limit, except those of unfinished jobs."""
        needed = {self.file(job_id) for job_id in unfinished}
        files = sorted(
            (path for path in self._files() if path not in needed), key=lambda path: path.stat().st_mtime
        )
        for path in files[: max(0, len(files) + 1 - self._limits.job_files_max)]:
            path.unlink(missing_ok=True)

    def remove_orphans(self, job_ids: Iterable[str]) -> None:
        """Remove the files that belong to none of these jobs, as a crash may leave them."""
        expected = {self.file(job_id) for job_id in job_ids}
        for path in self._files():
            if path not in expected:
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.is_file()] if self._folder.is_dir() else []


class ContentFile:
    """A content that is being written; it becomes that of the job when `finish` is called."""

    def __init__(self, folder: Path, path: Path, size_max_bytes: int) -> None:
        self._path = path
        self._part = path.with_suffix(_PART)
        self._size = 0
        self._size_max = size_max_bytes
        try:
            folder.mkdir(exist_ok=True, mode=0o700)
            self._file = self._part.open("wb")
        except OSError as error:
            raise _not_written() from error

    def write(self, data: bytes) -> None:
        """Append data.

        Raises:
            Refused: `Code.TOO_LARGE`.
            Unavailable: `Code.DISK_FULL`.
        """
        self._size += len(data)
        if self._size > self._size_max:
            raise Refused(Code.TOO_LARGE, f"The content of a job has at most {self._size_max} bytes.")
        try:
            self._file.write(data)
        except OSError as error:
            raise _not_written() from error

    def finish(self) -> None:
        """Rename the file to its final name, durably.

        Raises:
            Unavailable: `Code.DISK_FULL`.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
        except OSError as error:
            raise _not_written() from error

    def close(self) -> None:
        """Close the file; one that was not finished is removed."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def _not_written() -> Unavailable:
    return Unavailable(Code.DISK_FULL, "The content of a job cannot be written.", 30.0)
