"""A network in one process.

Every marketplace's HTTP application by its endpoint, and what can go wrong between.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import MEMBER_TOKEN_HEADER, AnswerSigner, HttpRequest, HttpResponse
from tests.support.asgi import Application, AsgiClient

Fault = Callable[[HttpRequest, HttpResponse], HttpResponse]
"""Changes an answer on its way."""


class Network:
    """Who can be reached, and how."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.applications: dict[str, Application] = {}
        """By endpoint."""
        self.down: set[str] = set()
        """Endpoints that refuse connections."""
        self.closed: set[str] = set()
        """Endpoints of marketplaces that do not run."""
        self.delays_s: dict[str, float] = {}
        """How long an endpoint takes for an answer."""
        self.faults: dict[str, Fault] = {}
        """What a marketplace answers instead, by its endpoint: it signs that, as it signs every answer."""
        self.tampering: dict[str, Fault] = {}
        """What happens to an endpoint's signed answers on their way."""
        self.signers: dict[str, AnswerSigner] = {}
        """By endpoint."""
        self.requests: list[HttpRequest] = []
        """Everything that was sent."""

    def requests_to(self, endpoint: str) -> list[HttpRequest]:
        """What was sent to an endpoint."""
        return [request for request in self.requests if request.url.startswith(endpoint + "/")]

    async def send(self, request: HttpRequest) -> HttpResponse:
        """An `HttpClient` that everybody shares."""
        self.requests.append(request)
        endpoint = "/".join(request.url.split("/", 3)[:3])
        if endpoint not in self.applications:
            raise Refused(Code.HOST_NOT_ALLOWED, f"{endpoint} is not registered.")
        if endpoint in self.down | self.closed:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The connection was refused.")
        delay_s = self.delays_s.get(endpoint, 0.0)
        await self.clock.sleep(min(delay_s, request.timeout_s))
        if delay_s > request.timeout_s:
            raise Unavailable(Code.RETRIEVAL_TIMEOUT, "The exchange took too long.")
        headers = {name.lower(): value for name, value in request.headers.items()}
        client = AsgiClient(self.applications[endpoint], headers)
        response = await client.request(request.method, request.url.removeprefix(endpoint), body=request.body)
        answer = HttpResponse(response.status, response.headers, response.body)
        if endpoint in self.faults:
            answer = self._signed(endpoint, request, self.faults[endpoint](request, answer))
        if endpoint in self.tampering:
            answer = self.tampering[endpoint](request, answer)
        if len(answer.body) > request.answer_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The answer is too large.")
        return answer

    def _signed(self, endpoint: str, request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        """An answer of a marketplace, with its signature if it has one."""
        token = request.headers.get(MEMBER_TOKEN_HEADER)
        signer = self.signers.get(endpoint)
        if token is None or signer is None or request.method != "POST":
            return answer
        payload = token.split(".")[1]
        asking = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
        digest = hashlib.sha256(answer.body).digest()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        for name, value in signer.headers(asking, token, answer.status, digest).items():
            headers[name.lower()] = value
        return HttpResponse(answer.status, headers, answer.body)


def status(code: int, headers: Mapping[str, str] | None = None) -> Fault:
    """Every answer has this status and an unfriendly text."""
    return lambda *_: HttpResponse(code, headers or {}, b"<script>our words</script>")


def changed(change: Callable[[bytes], bytes]) -> Fault:
    """Something is done to the bytes of every answer."""

    def fault(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        del request
        return msgspec.structs.replace(answer, body=change(answer.body))

    return fault


def replaced(old: bytes, new: bytes) -> Fault:
    """Wherever some bytes stand, others come."""
    return changed(lambda body: body.replace(old, new))


def oversize(size_bytes: int) -> Fault:
    """The answer goes on and on."""
    return changed(lambda body: body + b" " * size_bytes)
