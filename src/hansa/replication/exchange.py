"""How members get entities from one another: `POST /league/v1/entities`, as it is asked and answered.

The request names entities by their ledger key and the hashlink that is wanted. The answer is JSON Lines, one line for
each entity asked for, in the same order, so that the exact bytes of an entity stand in the answer as they are:

    {"key":"…","status":"found","entity":{…}}      the wanted version
    {"key":"…","status":"superseded"}              there is a newer one; its event is on its way
    {"key":"…","status":"gone"}                    deleted or withdrawn; its event is on its way
    {"key":"…","status":"unknown"}                 never published here
    {"key":"…","status":"later"}                   the answer would become too large: ask again
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import HttpClient, HttpRequest, HttpResponse, RequestSigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.store.tables.retrievals import Retrieval

JSON_LINES: Final = "application/jsonl"

Status = Literal["found", "superseded", "gone", "unknown", "later"]


class WantedEntity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of one entity."""

    key: str
    hashlink: str


class EntitiesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of the request."""

    entities: tuple[WantedEntity, ...]


class AnswerLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the answer."""

    key: str
    status: Status
    entity: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """The exact bytes, when found."""


_line_decoder = msgspec.json.Decoder(AnswerLine)


def encode_line(key: str, status: Status, body: bytes | None = None) -> bytes:
    """A line of the answer, with its end."""
    entity = msgspec.UNSET if body is None else msgspec.Raw(body)
    return msgspec.json.encode(AnswerLine(key, status, entity)) + b"\n"


def read_answer(body: bytes, wanted: Sequence[Retrieval]) -> tuple[AnswerLine, ...]:
    """The lines of an answer, one for each wanted entity.

    Raises:
        Refused: `Code.RETRIEVAL_ANSWER_INVALID`, saying what is wrong.
    """
    lines = body.removesuffix(b"\n").split(b"\n")
    if len(lines) != len(wanted):
        raise _invalid(f"{len(wanted)} entities were asked for, {len(lines)} lines came")
    try:
        answers = tuple(map(_line_decoder.decode, lines))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("a line is not of the form of an answer") from error
    for answer, retrieval in zip(answers, wanted, strict=True):
        if answer.key != retrieval.key:
            raise _invalid("a line is about another entity than was asked for")
        if (answer.status == "found") != (answer.entity is not msgspec.UNSET):
            raise _invalid("an entity is there without being found, or found without being there")
    if answers[0].status == "later":
        raise _invalid("not even the first entity was sent")
    return answers


class OriginClient:
    """Asks origins for entities.

    Args:
        http: Sends; keeps to the allowed hosts and the limits.
        signer: Says who is asking.
        limits: `retrieval_timeout_s`, `retrieval_size_max_bytes`.
    """

    def __init__(self, http: HttpClient, signer: RequestSigner, limits: Limits) -> None:
        self._http = http
        self._signer = signer
        self._limits = limits

    async def fetch(self, origin: Member, wanted: Sequence[Retrieval]) -> tuple[AnswerLine, ...]:
        """What the origin answers, a line for each of the wanted versions.

        Raises:
            Unavailable: `Code.RETRIEVAL_UNREACHABLE` or `Code.RETRIEVAL_TIMEOUT`: it may answer later.
            Refused: `Code.RETRIEVAL_TOO_LARGE`, `Code.RETRIEVAL_ANSWER_INVALID` or `Code.HOST_NOT_ALLOWED`.
        """
        url = origin.endpoint + ENTITIES_PATH
        asked = EntitiesRequest(tuple(WantedEntity(one.key, one.hashlink) for one in wanted))
        body = msgspec.json.encode(asked)
        headers = {"content-type": "application/json", "accept": JSON_LINES}
        request = HttpRequest(
            "POST",
            url,
            headers | self._signer.headers(origin.did, "POST", url, body),
            body,
            self._limits.retrieval_timeout_s,
            self._limits.retrieval_size_max_bytes,
        )
        answer = await self._http.send(request)
        if len(answer.body) > self._limits.retrieval_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The answer is larger than any may be.")
        if answer.status != 200:
            raise _not_served(answer)
        return read_answer(answer.body, wanted)


def _not_served(answer: HttpResponse) -> Refused | Unavailable:
    """What an answer other than 200 means; the text in it is the other side's and stays there."""
    if answer.status in {429, 500, 502, 503, 504}:
        text = answer.headers.get("retry-after", "")
        retry_after_s = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
        message = f"The origin answered with status {answer.status}."
        return Unavailable(Code.RETRIEVAL_UNREACHABLE, message, retry_after_s)
    return _invalid(f"the status is {answer.status}")


def _invalid(what: str) -> Refused:
    return Refused(Code.RETRIEVAL_ANSWER_INVALID, f"The origin's answer is not of the expected form: {what}.")
