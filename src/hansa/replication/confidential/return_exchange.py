"""The exchange of what was sealed, back to its origin: `POST /league/v1/confidential/lost`.

A marketplace that has lost its store knows from the ledger which sealed events are its own, and neither what
they say nor for whom they were: the keys that open them are with the recipients alone. So it names positions
of such events to every member, in a request that it signs. The response is JSON Lines, a line for each
position in the order of the request:

    {"position":7,"status":"opened","sealed":"…","part":"…"}   it is sealed for this member
    {"position":7,"status":"later"}      the response would become too large: request it again
    {"position":7,"status":"unknown"}    it is not, or no key of this member opens it any more, or it is no
                                         event of the member that asks; which of these, nobody learns

`sealed` and `part` are sealed for the origin, as an event is for its recipients: whoever has stolen the key
that signs, or listens on the way, reads neither. The part has the content key of the event, and after it the
bytes of the version, where this member has exactly these. The origin believes none of it: the content key has
to open the event on the ledger, and the bytes to have the hashes that the event and its notice name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.core.events import SEALED_PATTERN
from hansa.core.http import HttpClient, RequestSigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.replication.confidential.exchange import post_signed

LOST_PATH: Final = "/league/v1/confidential/lost"
POSITIONS_MAX: Final = 100
"""Events of one request."""
_SEALED: Final = re.compile(SEALED_PATTERN, re.ASCII)

ReturnStatus = Literal["opened", "later", "unknown"]


class LostRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of the request."""

    positions: tuple[int, ...]
    """Of sealed events of the member that asks, in ledger order."""


class ReturnLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the response."""

    position: int
    status: ReturnStatus
    sealed: str | None = None
    """What opens the part, sealed for the member that asks; there when the event is opened."""
    part: bytes | None = None
    """Content key and bytes, encrypted; likewise."""


_decoder: Final = msgspec.json.Decoder(ReturnLine)


def encode_return_line(line: ReturnLine) -> bytes:
    """A line of the response, with its line feed."""
    assert _is_whole(line), "a line has something when its status says so"
    return msgspec.json.encode(line) + b"\n"


def read_return_lines(body: bytes, positions: Sequence[int]) -> tuple[ReturnLine, ...]:
    """The lines of a response, one for each position.

    Raises:
        Refused: `Code.RETRIEVAL_ANSWER_INVALID`.
    """
    raw = body.removesuffix(b"\n").split(b"\n")
    if len(raw) != len(positions):
        raise _invalid(f"{len(positions)} events were named, {len(raw)} lines came")
    try:
        lines = tuple([_decoder.decode(one) for one in raw])
    except UNREADABLE as error:
        raise _invalid("a line is not of the form of a response") from error
    for line, position in zip(lines, positions, strict=True):
        if line.position != position or not _is_whole(line):
            raise _invalid("a line is about another event, or contradicts itself")
        if line.sealed is not None and _SEALED.fullmatch(line.sealed) is None:
            raise _invalid("a line has something sealed that is not of its one form")
    if lines[0].status == "later":
        raise _invalid("not even the first event was answered")
    return lines


def _is_whole(line: ReturnLine) -> bool:
    is_opened = line.status == "opened"
    return (line.sealed is not None) == is_opened == (line.part is not None)


class ReturnClient:
    """Requests of members what was sealed for them.

    Args:
        http: Sends; keeps to the allowed hosts and the limits.
        signer: Proves to a member which one asks.
        limits: `retrieval_timeout_s`, `retrieval_size_max_bytes`.
    """

    def __init__(self, http: HttpClient, signer: RequestSigner, limits: Limits) -> None:
        self._http = http
        self._signer = signer
        self._limits = limits

    async def fetch(self, member: Member, positions: Sequence[int]) -> tuple[ReturnLine, ...]:
        """A member's response, a line for each of some positions.

        Raises:
            Unavailable: `Code.RETRIEVAL_UNREACHABLE` or `Code.RETRIEVAL_TIMEOUT`: it may respond later.
            Refused: `Code.RETRIEVAL_TOO_LARGE`, `Code.RETRIEVAL_ANSWER_INVALID` or `Code.HOST_NOT_ALLOWED`.
        """
        content = LostRequest(tuple(positions))
        body = await post_signed(self._http, self._signer, self._limits, member, LOST_PATH, content)
        return read_return_lines(body, positions)


def _invalid(what: str) -> Refused:
    return Refused(
        Code.RETRIEVAL_ANSWER_INVALID, f"The member's response is not of the expected form: {what}."
    )
