"""The field lines of the request before: what is repeated from request to request is read once.

A client repeats its field lines, but for the length of a body. So a connection retains the last ones with
what they mean; equal ones are compared, and of others that differ in the length alone, only that is read.
"""

from __future__ import annotations

from typing import Final

from hansa.node.http.connection.request_head import (
    LENGTH,
    LENGTH_MAX_DIGITS,
    NO_FIELDS,
    Fields,
    read_fields,
)

BLOCK_RETAINED_MAX_BYTES: Final = 4096
"""Longer field lines are read anew for every request."""


class RetainedFields:
    """The field lines, and what they say."""

    __slots__ = ("_after_length", "_before_length", "block", "fields")

    def __init__(self) -> None:
        self.block: bytes | None = None
        """The lines that `fields` are of; None when they are not retained, for they may be empty."""
        self.fields: Fields = NO_FIELDS
        self._before_length = b""
        """The lines up to the digits of the length; empty when they have none, or are not retained."""
        self._after_length = b""

    def exchange_length(self, block: bytes) -> bool:
        """Take lines over that differ from the retained ones in the length of the body alone.

        Returns:
            Whether they do; if not, nothing has changed.
        """
        before, after = self._before_length, self._after_length
        if not before or not block.startswith(before) or not block.endswith(after):
            return False
        digits = block[len(before) : len(block) - len(after)]
        if not digits.isdigit() or len(digits) > LENGTH_MAX_DIGITS:
            return False
        self.fields = self.fields.with_length(digits)
        self.block = block
        return True

    def read(self, block: bytes) -> Fields:
        """Read other lines, and retain them unless they are long.

        Raises:
            RefusedRequest: As `read_fields`; then nothing is retained.
        """
        self.block, self._before_length, self._after_length = None, b"", b""
        self.fields = fields = read_fields(block)
        if len(block) <= BLOCK_RETAINED_MAX_BYTES:
            self.block = block
            if (length := LENGTH.search(block)) is not None:
                self._before_length, self._after_length = block[: length.start(1)], block[length.end(1) :]
        return fields
