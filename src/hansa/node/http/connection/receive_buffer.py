"""Where bytes are received, before a connection has them: one buffer for all connections of a server.

uvloop's own has 256 kB and is copied whole: a thousand clients that send half a megabyte at one moment hold
up everybody else for a tenth of a second, before anything of them has been read. Here a head brings so many
bytes as usual requests have, and a body so many that a large one takes few reads.
"""

from __future__ import annotations

from typing import Final

HEAD_READ_MAX_BYTES: Final = 16_384
BODY_READ_MAX_BYTES: Final = 65_536


class ReceiveBuffer:
    """The buffer. Used on one event loop, which fills it and has it read without anything in between."""

    def __init__(self) -> None:
        self.for_body: Final = memoryview(bytearray(BODY_READ_MAX_BYTES))
        self.for_head: Final = self.for_body[:HEAD_READ_MAX_BYTES]

    def received(self, count_bytes: int) -> bytes:
        """A copy of what has been received."""
        return bytes(self.for_body[:count_bytes])
