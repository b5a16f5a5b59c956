"""The commands' client on an application in the same process, with faults on demand."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from hansa.cli.client import Client, ClientResponse, Parameters
from tests.support.asgi import Application, AsgiClient

Fault = Callable[[str, str], ClientResponse | Exception | None]
"""What happens to a request of this method and path, before it is carried out; None: nothing."""


class InProcessClient(Client):
    """Hands requests to an application."""

    def __init__(self, application: Application, token: str | None = None) -> None:
        super().__init__("http://market.example", token)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._asgi = AsgiClient(application, headers)
        self.faults: list[Fault] = []
        self.lost_responses = 0
        """So many of the next requests are carried out, and their responses lost."""
        self.requests: list[tuple[str, str]] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = 1.0,
    ) -> ClientResponse:
        """Carry out a request, unless a fault happens to it."""
        del timeout_s
        self.requests.append((method, path))
        for fault in self.faults:
            what = fault(method, path)
            if isinstance(what, Exception):
                raise what
            if what is not None:
                return what
        target = f"{path}?{urlencode(list(parameters))}" if parameters else path
        headers = {"content-type": content_type} if body is not None else {}
        answer = await self._asgi.request(method, target, body=body, headers=headers)
        if self.lost_responses > 0:
            self.lost_responses -= 1
            raise self.unreachable()
        return ClientResponse(answer.status, answer.headers, answer.body)
