"""The commands' client on an application in the same process, with faults on demand."""

from __future__ import annotations

from collections.abc import Callable

from hansa.cli.client import Client, ClientResponse, Parameters
from tests.support.asgi import Application
from tests.support.connections_in_process import InProcessConnection

Fault = Callable[[str, str], ClientResponse | Exception | None]
"""What happens to a request of this method and path, before it is carried out; None: nothing."""


class InProcessClient(InProcessConnection, Client):
    """Hands requests to an application."""

    def __init__(self, application: Application, token: str | None = None) -> None:
        super().__init__("http://market.example", application, token)
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
        self.requests.append((method, path))
        for fault in self.faults:
            what = fault(method, path)
            if isinstance(what, Exception):
                raise what
            if what is not None:
                return what
        answer = await super().request(
            *(method, path),
            parameters=parameters,
            body=body,
            content_type=content_type,
            timeout_s=timeout_s,
        )
        if self.lost_responses > 0:
            self.lost_responses -= 1
            raise self.unreachable()
        return answer
