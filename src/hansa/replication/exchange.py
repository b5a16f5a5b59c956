"""The exchange of entities between members: the request `POST /league/v1/entities` and its response.

The request names entities by their ledger key and the hashlink of the version. The response is JSON Lines:
one line for each requested entity, in the same order, so that the exact bytes of an entity are a part of the
response as they are:

    {"key":"…","status":"found","entity":{…}}      the requested version
    {"key":"…","status":"superseded"}              there is a newer version; its event is on its way
    {"key":"…","status":"gone"}                    deleted or withdrawn; its event is on its way
    {"key":"…","status":"unknown"}                 never published here
    {"key":"…","status":"later"}                   the response would become too large: request it again
    {"key":"…","status":"pending"}                 not public yet, though its event may be committed: request
                                                   it again in a moment

Strangers are answered `unknown` in place of `pending`, so that they do not learn of an entity before it is
public.

Failures: an origin that cannot be reached or is overloaded is `Unavailable`, a response in any other form is
`Refused`. Either delays the origin and is no evidence against it: what stands between may have failed, as a
proxy or a clock. Nothing in a response is believed before its hash was compared (`hansa.replication.intake`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import (
    JSON,
    MEMBER_TOKEN_HEADER,
    AnswerCheck,
    HttpClient,
    HttpRequest,
    HttpResponse,
    RequestSigner,
)
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.thread_work import SMALL_MAX_BYTES, run_refusable
from hansa.replication.announced.bundles import BUNDLE_TYPE, LINES_MAX, SIZE_MAX_BYTES, unpacked
from hansa.store.tables.heads import Retrieval

JSON_LINES: Final = "application/jsonl"

Status = Literal["found", "superseded", "gone", "unknown", "later", "pending"]


class RequestedEntity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of one entity."""

    key: str
    """Ledger key, hex."""
    hashlink: str


class EntitiesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of the request."""

    entities: tuple[RequestedEntity, ...]


class ResponseLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the response: an entity, or why it is not there."""

    key: str
    status: Status
    entity: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """The exact bytes; there if, and only if, the status is `found`."""


_line_decoder = msgspec.json.Decoder(ResponseLine)
_ENTITY_LINE: Final = (b'{"key":"', b'","status":"found","entity":')
"""What stands before a key, and between it and its entity, where `encode_line` has written them."""


def encode_line(key: str, status: Status, body: bytes | None = None) -> bytes:
    """A line of the response, with its line feed."""
    assert (status == "found") == (body is not None), "a line has an entity when its status says so"
    entity = msgspec.UNSET if body is None else msgspec.Raw(body)
    return msgspec.json.encode(ResponseLine(key, status, entity)) + b"\n"


def read_response(body: bytes, requested: Sequence[Retrieval]) -> tuple[ResponseLine, ...]:
    """The lines of a response, one for each requested entity.

    Raises:
        Refused: `Code.RETRIEVAL_ANSWER_INVALID`, saying what is wrong.
    """
    assert requested, "a request names an entity at least"
    raw_lines = body.removesuffix(b"\n").split(b"\n")
    if len(raw_lines) != len(requested):
        raise _invalid(f"{len(requested)} entities were requested, {len(raw_lines)} lines came")
    lines = tuple(_read_line(raw, one.key) for raw, one in zip(raw_lines, requested, strict=True))
    for line, retrieval in zip(lines, requested, strict=True):
        if line.key != retrieval.key:
            raise _invalid("a line is about another entity than was requested")
        if (line.status == "found") != (line.entity is not msgspec.UNSET):
            raise _invalid("the status of a line contradicts whether it has an entity")
    if lines[0].status == "later":
        raise _invalid("not even the first entity was sent")
    return lines


def _read_line(raw: bytes, key: str) -> ResponseLine:
    """A line of a response; its entity need not be JSON, since its hash tells whether that is its own fault.

    Raises:
        Refused: `Code.RETRIEVAL_ANSWER_INVALID`.
    """
    try:
        return _line_decoder.decode(raw)
    except UNREADABLE as error:
        before, after = _ENTITY_LINE[0] + key.encode() + _ENTITY_LINE[1], b"}"
        if raw.startswith(before) and raw.endswith(after):
            return ResponseLine(key, "found", msgspec.Raw(raw[len(before) : -len(after)]))
        raise _invalid("a line is not of the form of a response") from error


class AnswerProof(msgspec.Struct, frozen=True):
    """What shows to others which answer a member gave to which request of ours."""

    request_token: str
    """By which we proved who asks (`hansa.identity.requests`)."""
    request: bytes
    """Body of the request."""
    answer_token: str
    """By which the member proved who answers (`hansa.identity.answers`)."""
    answer: bytes
    """Body of the answer."""


class MemberAnswer(msgspec.Struct, frozen=True):
    """What a member answered."""

    lines: tuple[ResponseLine, ...]
    """One for each requested version, in their order."""
    proof: AnswerProof | None
    """None when the member did not sign it: then it is evidence against nobody."""


class OriginClient:
    """Requests entities of members: of their origins, and of whoever else may have them.

    Args:
        http: Sends; keeps to the allowed hosts and the limits.
        signer: Proves to the other member which one asks.
        limits: `retrieval_timeout_s`, `retrieval_size_max_bytes`.
        check: Finds out whether the other member has signed its answer; None: nobody is believed to.
    """

    def __init__(
        self, http: HttpClient, signer: RequestSigner, limits: Limits, check: AnswerCheck | None = None
    ) -> None:
        self._http = http
        self._signer = signer
        self._limits = limits
        self._check = check

    async def fetch(self, member: Member, requested: Sequence[Retrieval]) -> MemberAnswer:
        """A member's answer, a line for each of the requested versions.

        Raises:
            Unavailable: `Code.RETRIEVAL_UNREACHABLE` or `Code.RETRIEVAL_TIMEOUT`: it may answer later.
            Refused: `Code.RETRIEVAL_TOO_LARGE`, `Code.RETRIEVAL_ANSWER_INVALID` or `Code.HOST_NOT_ALLOWED`.
        """
        request = self._request(member, requested, JSON_LINES, self._limits.retrieval_size_max_bytes)
        response, signature = await self._exchange(member, request)
        lines = read_response(response.body, requested)
        return MemberAnswer(lines, _proof(request, response, signature))

    async def fetch_bundle(self, member: Member, requested: Sequence[Retrieval]) -> MemberAnswer:
        """The same in one bundle, which has what the member has and there is room for; the rest is `later`.

        Args:
            member: Which.
            requested: `LINES_MAX` versions at most.

        Raises:
            Unavailable: As `fetch`.
            Refused: As `fetch`.
        """
        assert len(requested) <= LINES_MAX, "a bundle has room for them"
        request = self._request(member, requested, BUNDLE_TYPE, SIZE_MAX_BYTES)
        response, signature = await self._exchange(member, request)
        try:
            raw = response.body
            parts = await run_refusable(None, partial(unpacked, raw)) if raw else ()
        except Refused as error:
            raise _invalid(f"the bundle is not one ({error.code})") from error
        bodies = {(part.key, part.hashlink): part.entity for part in parts}
        lines = tuple(
            ResponseLine(one.key, "later")
            if (body := bodies.get((one.key, one.hashlink))) is None
            else ResponseLine(one.key, "found", body)
            for one in requested
        )
        return MemberAnswer(lines, _proof(request, response, signature))

    def _request(
        self, member: Member, requested: Sequence[Retrieval], accepted: str, answer_max_bytes: int
    ) -> HttpRequest:
        url = member.endpoint + ENTITIES_PATH
        entities = tuple(RequestedEntity(one.key, one.hashlink) for one in requested)
        body = msgspec.json.encode(EntitiesRequest(entities))
        headers = {"content-type": JSON, "accept": accepted}
        return HttpRequest(
            "POST",
            url,
            headers | self._signer.headers(member.did, "POST", url, body),
            body,
            self._limits.retrieval_timeout_s,
            answer_max_bytes,
        )

    async def _exchange(self, member: Member, request: HttpRequest) -> tuple[HttpResponse, str | None]:
        """A member's answer with status 200, and its signature, if it has one."""
        response = await self._http.send(request)
        if len(response.body) > request.answer_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The response is larger than any may be.")
        if response.status != 200:
            raise error_of_status(response)
        if self._check is None:
            return response, None
        find = partial(self._check.signature, member.did, request, response)
        is_small = len(response.body) <= SMALL_MAX_BYTES
        return response, find() if is_small else await run_refusable(None, find)


def _proof(request: HttpRequest, response: HttpResponse, signature: str | None) -> AnswerProof | None:
    if signature is None:
        return None
    token = request.headers.get(MEMBER_TOKEN_HEADER, "")
    return AnswerProof(token, request.body, signature, response.body)


def error_of_status(response: HttpResponse) -> Refused | Unavailable:
    """What a status other than 200 means. The body is the other side's text and is not passed on."""
    if response.status in {429, 500, 502, 503, 504}:
        text = response.headers.get("retry-after", "")
        retry_after_s = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
        message = f"The origin responded with status {response.status}."
        return Unavailable(Code.RETRIEVAL_UNREACHABLE, message, retry_after_s)
    return _invalid(f"the status is {response.status}{_HINTS.get(response.status, '')}")


_HINTS: Final = {
    401: ": it does not accept our signature, as when a clock is wrong or our key is another one",
    404: ": what answers at its endpoint is no marketplace, as a proxy whose configuration is wrong",
}


def _invalid(what: str) -> Refused:
    return Refused(
        Code.RETRIEVAL_ANSWER_INVALID, f"The origin's response is not of the expected form: {what}."
    )
