"""A log of decisions about access, in the marketplace's folder: who was refused what, by which policy.

Refusals are always recorded, and what is allowed one time in `allowed_every`, or never. A line is one JSON
object. Who called stands in it as a pseudonym, a keyed digest of the subject; the organisation, which is no
person, as it is. There are neither names nor contents of entities.

Lines wait in memory, `WAITING_MAX` of them; what comes when there are so many is counted, and the count is
the next line. They are written by `run`, every `WRITE_S`. A file that has `file_size_max_bytes` takes the
place of the one before (`.1`), so that the two have twice as much together. What cannot be written is logged
and lost: a full disk keeps nobody from being served.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hansa.core.clock import Clock, rfc3339
from hansa.identity.rights.deciding import AccessDecided

WAITING_MAX: Final = 1000
WRITE_S: Final = 2.0
PSEUDONYM_CHARS: Final = 16

log = structlog.get_logger()


class DecisionLog:
    """Records decisions.

    Args:
        path: The file.
        key: Makes the pseudonyms, which nobody without it can tell whose they are.
        clock: Says when, and when to write.
        file_size_max_bytes: Of one file.
        allowed_every: One of so many decisions that allow is recorded; 0: none.
    """

    def __init__(
        self, path: Path, key: bytes, clock: Clock, file_size_max_bytes: int, allowed_every: int
    ) -> None:
        self._path = path
        self._key = key[:64]
        self._clock = clock
        self._file_size_max_bytes = file_size_max_bytes
        self._allowed_every = allowed_every
        self._allowed = 0
        self._lines: deque[bytes] = deque()
        self._dropped = 0

    def record(self, decided: AccessDecided) -> None:
        """Record a decision, unless it is one that allows and is not sampled."""
        if decided.refusal is None:
            self._allowed += 1
            if not self._allowed_every or self._allowed % self._allowed_every:
                return
        if len(self._lines) >= WAITING_MAX:
            self._dropped += 1
            return
        self._lines.append(self._line(decided))

    async def run(self) -> None:
        """Write until cancelled; what waits then is written before it ends."""
        try:
            while True:
                await self._clock.sleep(WRITE_S)
                await self.write()
        finally:
            self._write(self._taken())

    async def write(self) -> None:
        """Write what waits."""
        lines = self._taken()
        if lines:
            await asyncio.to_thread(self._write, lines)

    def _taken(self) -> list[bytes]:
        lines = [*self._lines]
        self._lines.clear()
        if self._dropped:
            lines.append(msgspec.json.encode({"time": self._now(), "dropped": self._dropped}))
            self._dropped = 0
        return lines

    def _line(self, decided: AccessDecided) -> bytes:
        caller, refusal = decided.caller, decided.refusal
        subject = (caller.subject or "").encode()
        pseudonym = hashlib.blake2b(subject, key=self._key).hexdigest()[:PSEUDONYM_CHARS]
        return msgspec.json.encode(
            {
                "time": self._now(),
                "caller": pseudonym,
                "organization": caller.organization,
                "member": caller.member,
                "action": decided.action,
                "type": decided.collection,
                "allowed": refusal is None,
                "code": None if refusal is None else refusal.code,
                "policies": decided.verdict.policies,
            }
        )

    def _now(self) -> str:
        return rfc3339(self._clock.now())

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        data = b"\n".join((*lines, b""))
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size + len(data) > self._file_size_max_bytes:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            with self._path.open("ab") as file:
                file.write(data[: self._file_size_max_bytes])
        except OSError as error:
            log.error("decision_log_not_written", reason=type(error).__name__, lines=len(lines))
