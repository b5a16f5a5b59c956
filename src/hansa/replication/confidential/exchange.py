"""The exchange of sealed parts: `POST /league/v1/confidential`, for the members to which they are addressed.

The request names events by their keys on the ledger and is signed by the member that sends it. The response
is JSON Lines, a line for each event in the order of the request:

    {"key":"…","status":"sent","part":"…"}   the encrypted bytes, in base64
    {"key":"…","status":"later"}             the response would become too large: request it again
    {"key":"…","status":"unknown"}           there is no such event, or its bytes are not for this member any
                                             more; which of these, nobody learns

Failures are those of `hansa.replication.exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.core.http import HttpClient, HttpRequest, RequestSigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.replication.exchange import JSON_LINES, error_of_status

CONFIDENTIAL_PATH: Final = "/league/v1/confidential"
KEYS_MAX: Final = 50
"""Events of one request."""

PartStatus = Literal["sent", "later", "unknown"]


class PartsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of the request."""

    keys: tuple[str, ...]
    """Of the events on the ledger, hex."""


class PartLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the response."""

    key: str
    status: PartStatus
    part: bytes | None = None
    """The encrypted bytes; there if, and only if, they are sent."""


_decoder: Final = msgspec.json.Decoder(PartLine)


def encode_part_line(line: PartLine) -> bytes:
    """A line of the response, with its line feed."""
    assert (line.status == "sent") == (line.part is not None), "a line has a part when its status says so"
    return msgspec.json.encode(line) + b"\n"


def read_part_lines(body: bytes, keys: Sequence[str]) -> tuple[PartLine, ...]:
    """The lines of a response, one for each key.

    Raises:
        Refused: `Code.RETRIEVAL_ANSWER_INVALID`.
    """
    raw = body.removesuffix(b"\n").split(b"\n")
    if len(raw) != len(keys):
        raise _invalid(f"{len(keys)} parts were requested, {len(raw)} lines came")
    try:
        lines = tuple([_decoder.decode(one) for one in raw])
    except UNREADABLE as error:
        raise _invalid("a line is not of the form of a response") from error
    for line, key in zip(lines, keys, strict=True):
        if line.key != key or (line.status == "sent") != (line.part is not None):
            raise _invalid("a line is about another event, or contradicts itself")
    if lines[0].status == "later":
        raise _invalid("not even the first part was sent")
    return lines


class PartsClient:
    """Requests sealed parts from their origins.

    Args:
        http: Sends; keeps to the allowed hosts and the limits.
        signer: Proves to the origin which member it is.
        limits: `retrieval_timeout_s`, `retrieval_size_max_bytes`.
    """

    def __init__(self, http: HttpClient, signer: RequestSigner, limits: Limits) -> None:
        self._http = http
        self._signer = signer
        self._limits = limits

    async def fetch(self, origin: Member, keys: Sequence[str]) -> tuple[PartLine, ...]:
        """The origin's response, a line for each of some events.

        Raises:
            Unavailable: `Code.RETRIEVAL_UNREACHABLE` or `Code.RETRIEVAL_TIMEOUT`: it may respond later.
            Refused: `Code.RETRIEVAL_TOO_LARGE`, `Code.RETRIEVAL_ANSWER_INVALID` or `Code.HOST_NOT_ALLOWED`.
        """
        content = PartsRequest(tuple(keys))
        body = await post_signed(self._http, self._signer, self._limits, origin, CONFIDENTIAL_PATH, content)
        return read_part_lines(body, keys)


async def post_signed(
    http: HttpClient,
    signer: RequestSigner,
    limits: Limits,
    member: Member,
    path: str,
    content: msgspec.Struct,
) -> bytes:
    """The JSON Lines that a member responds with to a signed request.

    Args:
        http: Sends; keeps to the allowed hosts and the limits.
        signer: Proves to the member who asks.
        limits: `retrieval_timeout_s`, `retrieval_size_max_bytes`.
        member: Who responds.
        path: Below its endpoint.
        content: Of the request.

    Raises:
        Unavailable: `Code.RETRIEVAL_UNREACHABLE` or `Code.RETRIEVAL_TIMEOUT`: it may respond later.
        Refused: `Code.RETRIEVAL_TOO_LARGE` or `Code.HOST_NOT_ALLOWED`.
    """
    url, body = member.endpoint + path, msgspec.json.encode(content)
    headers = {"content-type": "application/json", "accept": JSON_LINES}
    request = HttpRequest(
        *("POST", url, headers | signer.headers(member.did, "POST", url, body), body),
        *(limits.retrieval_timeout_s, limits.retrieval_size_max_bytes),
    )
    response = await http.send(request)
    if response.status != 200:
        raise error_of_status(response)
    return response.body


def _invalid(what: str) -> Refused:
    return Refused(
        Code.RETRIEVAL_ANSWER_INVALID, f"The origin's response is not of the expected form: {what}."
    )
