"""The exchange of forwarded writes: the request `POST /league/v1/writes`, and what its answer means.

The request is signed as every one between members, and carries a delegation for its body
(`hansa.core.forwarding`). The answer is what the origin wrote, which is believed as far as it is about the
entity that was written, is of the form that published entities have, and has the hash that it names; or it is
an error whose code is one of ours.
Anything else (another form, another status, a redirect, too many bytes, silence) leaves the outcome
unknown: `OriginAway`, after which the same write may be sent again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import hashlink
from hansa.core.entity_form import form_violation, size_violation
from hansa.core.errors import HTTP_STATUS, Code, Refused, Unavailable
from hansa.core.forwarding import (
    DELEGATION_HEADER,
    FRAME_SIZE_BYTES,
    WRITES_PATH,
    Actor,
    DelegationMaker,
    ForwardedWrite,
    OriginAnswer,
)
from hansa.core.http import JSON, HttpClient, HttpRequest, HttpResponse, RequestSigner
from hansa.core.instants import instant
from hansa.core.limits import Limits
from hansa.core.members import Member

AWAY_RETRY_S: Final = 5.0
RETRY_AFTER_MAX_S: Final = 3600.0
POSITION_MAX: Final = 2**53 - 1
ERROR_SIZE_MAX_BYTES: Final = 65_536
_UNKNOWN: Final = "Whether it wrote is unknown; repeat the request with the same Idempotency-Key."


class OriginAway(Unavailable):
    """The origin cannot be reached, or did not answer as it should; the write may be sent again."""


class _ErrorBody(msgspec.Struct, frozen=True):
    code: str


_answer_decoder: Final = msgspec.json.Decoder(OriginAnswer)
_error_decoder: Final = msgspec.json.Decoder(_ErrorBody)

_REFUSALS: Final[dict[Code, tuple[Code, str]]] = {
    Code.INVALID: (Code.INVALID, "The origin does not take the content of the write."),
    Code.MALFORMED: (Code.INVALID, "The origin does not take the content of the write."),
    Code.UNAUTHENTICATED: (
        Code.FORBIDDEN,
        "The origin does not accept the signatures of this marketplace: a clock is wrong, or its key is another one.",
    ),
    Code.FORBIDDEN: (Code.FORBIDDEN, "The origin lets this marketplace forward no such write for you."),
    Code.METHOD_NOT_ALLOWED: (Code.FORBIDDEN, "The origin offers no such write."),
    Code.NOT_FOUND: (Code.NOT_FOUND, "The origin has no such entity any more."),
    Code.CONFLICT: (Code.CONFLICT, "The write does not fit what the origin has."),
    Code.READ_ONLY_REPLICA: (
        Code.READ_ONLY_REPLICA,
        "The origin of this replica says that another marketplace is the origin.",
    ),
    Code.IDENTIFIER_RESERVED: (Code.IDENTIFIER_RESERVED, "The origin cannot use this identifier."),
    Code.TRANSITION_REFUSED: (
        Code.TRANSITION_REFUSED,
        "The entity cannot change to this state at its origin.",
    ),
    Code.REFERENCE_WRONG_TYPE: (Code.REFERENCE_WRONG_TYPE, "It refers to an entity of another type."),
    Code.REFERENCE_UNRESOLVED: (Code.REFERENCE_UNRESOLVED, "It refers to what the origin does not have."),
    Code.STILL_REFERENCED: (Code.STILL_REFERENCED, "Other entities of the origin refer to this one."),
    Code.PRECONDITION_FAILED: (
        Code.PRECONDITION_FAILED,
        "The entity stands at another version at its origin; read it again when that has arrived.",
    ),
    Code.IDEMPOTENCY_KEY_REUSED: (
        Code.IDEMPOTENCY_KEY_REUSED,
        "The origin has carried out another request with this Idempotency-Key; make another key for each write.",
    ),
    Code.TOO_LARGE: (Code.TOO_LARGE, "The write is larger than the origin takes."),
    Code.UNSUPPORTED_MEDIA_TYPE: (Code.UNSUPPORTED_MEDIA_TYPE, "The origin takes no patch of this form."),
}
"""What a refusal of the origin is here: a code of ours, and a sentence of ours."""


class OriginWrites:
    """Sends writes to their origins.

    Args:
        http: Sends to members alone, follows no redirects.
        signer: Proves who sends.
        delegations: Says for whom.
        limits: `forward_timeout_s`, `body_size_max_bytes`, `entity_size_max_bytes`.
    """

    def __init__(
        self, http: HttpClient, signer: RequestSigner, delegations: DelegationMaker, limits: Limits
    ) -> None:
        self._http = http
        self._signer = signer
        self._delegations = delegations
        self._timeout_s = limits.forward_timeout_s
        self._answer_size_max_bytes = limits.entity_size_max_bytes * 4 // 3 + FRAME_SIZE_BYTES

    async def send(self, origin: Member, write: ForwardedWrite, subject: str, actor: Actor) -> OriginAnswer:
        """Have the origin carry out a write; what it wrote.

        Args:
            origin: Where the entity has its origin.
            write: What is written.
            subject: Pseudonym of the caller for this origin.
            actor: As whom that one acts.

        Raises:
            OriginAway: The outcome is unknown.
            Refused: The origin refused, and wrote nothing.
        """
        body = msgspec.json.encode(write)
        url = origin.endpoint + WRITES_PATH
        headers = {
            "content-type": JSON,
            "accept": JSON,
            DELEGATION_HEADER: self._delegations.delegation(origin.did, subject, actor, write, body),
            **self._signer.headers(origin.did, "POST", url, body),
        }
        request = HttpRequest("POST", url, headers, body, self._timeout_s, self._answer_size_max_bytes)
        try:
            response = await self._http.send(request)
        except Unavailable as error:
            raise OriginAway(
                Code.UNAVAILABLE, f"The origin cannot be reached. {_UNKNOWN}", AWAY_RETRY_S
            ) from error
        except Refused as error:
            raise _wrong_form() from error
        if response.status != 200:
            raise _failure(response)
        if len(response.body) > self._answer_size_max_bytes:
            raise _wrong_form()
        try:
            answer = _answer_decoder.decode(response.body)
        except UNREADABLE as error:
            raise _wrong_form() from error
        if not _is_about(answer, write):
            raise _wrong_form()
        return answer


def _is_about(answer: OriginAnswer, write: ForwardedWrite) -> bool:
    """Whether an answer has an entity of the form that all have, the one that was written, and nothing else.

    An identifier, a hash or a position in another form would be words of the origin, wherever they are shown.
    """
    if answer.position is not None and not 0 < answer.position <= POSITION_MAX:
        return False
    if write.entity is not None and answer.id != write.entity:
        return False
    if write.method == "DELETE":
        return not (answer.hashlink or answer.body or answer.modified)
    if size_violation(answer.body) is not None or hashlink(answer.body) != answer.hashlink:
        return False
    if instant(answer.modified) is None:
        return False
    try:
        body = msgspec.json.decode(answer.body)
    except UNREADABLE:
        return False
    return form_violation(answer.body, body) is None and body["id"] == answer.id


def _failure(response: HttpResponse) -> OriginAway | Refused:
    """What an answer other than 200 means."""
    code = _code(response)
    if code in _REFUSALS:
        return Refused(*_REFUSALS[code])
    if response.status in {429, 503}:
        text = response.headers.get("retry-after", "")
        is_number = text.isascii() and text.isdigit() and len(text) < 6
        retry_after_s = max(1.0, min(float(text), RETRY_AFTER_MAX_S)) if is_number else AWAY_RETRY_S
        return OriginAway(Code.UNAVAILABLE, "The origin takes no writes just now.", retry_after_s)
    return _wrong_form()


def _code(response: HttpResponse) -> Code | None:
    """The code of an error in the form that errors have, with the status that belongs to it."""
    if len(response.body) > ERROR_SIZE_MAX_BYTES:
        return None
    try:
        code = Code(_error_decoder.decode(response.body).code)
    except (*UNREADABLE, ValueError):
        return None
    return code if HTTP_STATUS.get(code) == response.status else None


def _wrong_form() -> OriginAway:
    return OriginAway(
        Code.UNAVAILABLE, f"The origin did not answer in a form that is known. {_UNKNOWN}", AWAY_RETRY_S
    )
