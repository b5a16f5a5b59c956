"""`/league/v1`, health and figures against their description, hostile: schemathesis draws requests from it.

Some keep to the description, others break it on purpose: one fault at a time for every keyword of a schema,
and several at a time. Every answer has to be described, with its headers, and what is invalid is refused.
They are sent to a whole marketplace without a ledger, where everything but the ledger answers, and to a
league in memory, whose ledger has events. `FAULTS` and `SCHEMATHESIS_EXAMPLES` bound them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response as Answered
from schemathesis.specs.openapi import checks as openapi_checks

from hansa.api.descriptions.document import league_document
from hansa.api.descriptions.operations import OPERATIONS
from hansa.api.descriptions.search_operations import SEARCH_OPERATIONS
from hansa.node.http.described.operations import OWN_OPERATIONS
from tests.conformance.described import BOUNDED, as_answered, undescribed_headers, wire_headers
from tests.support.asgi import AsgiClient, Message
from tests.support.business import ENDPOINT
from tests.support.league import League
from tests.support.whole import open_whole

FAULTS: Final = int(os.environ.get("FAULTS", "60"))
OF_WHOLE_PLACES: Final = frozenset(one.path for one in (*OWN_OPERATIONS, *SEARCH_OPERATIONS))
"""What a member in memory does not have."""
STREAM: Final = "/league/v1/events/stream"
WITHOUT_LEDGER: Final = 503
LEDGER_IS_AWAY: Final = "unavailable"
CHECKS: Final = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
ROLES: Final = ("operator", "operator", "reader", "")
CREDENTIALS: Final = "Authorization"
"""Who calls is chosen here, not by schemathesis."""
Send = Callable[[requests.PreparedRequest, str], Answered]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The description of all that is no TM Forum API."""
    made = league_document((*OPERATIONS, *OWN_OPERATIONS), ENDPOINT, "1")
    decoded: dict[str, Any] = json.loads(json.dumps(made))
    return decoded


class Left(Exception):
    """The client of a stream has left, or its response is complete."""


def leaving(application: Any) -> Any:
    """An application whose client leaves a stream after its first part, so that the response ends."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != STREAM:
            await application(scope, receive, send)
            return
        is_begun = asyncio.Event()

        async def observed(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                is_begun.set()

        async def leave() -> None:
            await is_begun.wait()
            raise Left

        async def respond() -> None:
            await application(scope, receive, observed)
            raise Left

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(leave())
                group.create_task(respond())
        except* Left:
            pass

    return answer


@contextmanager
def whole_marketplace(folder: Path) -> Iterator[tuple[Send, dict[str, str]]]:
    """A whole marketplace without a ledger, and the parameters in paths for which there is something."""
    with asyncio.Runner() as runner:
        manager = open_whole(folder / "lubeck")
        whole = runner.run(manager.__aenter__())
        door = leaving(whole.marketplace.front_door)
        tokens = {role: whole.with_role(role)._headers for role in {*ROLES} - {""}} | {"": {}}

        def send(request: requests.PreparedRequest, role: str) -> Answered:
            return runner.run(_send(AsgiClient(door, tokens[role]), request))

        yield send, {}
        runner.run(manager.__aexit__(None, None, None))


@contextmanager
def league_in_memory(_: Path) -> Iterator[tuple[Send, dict[str, str]]]:
    """A member of a league whose ledger has events, and the parameters of what it has."""
    with asyncio.Runner() as runner:
        league = League(["lubeck", "bergen", "riga"])
        page = runner.run(_begun(league))
        lubeck = league.marketplaces[0]
        key = page["events"][-1]["event"]["entity"]["key"]
        client = AsgiClient(leaving(league.network.applications[lubeck.endpoint]))
        ids = {"id": key, "key": key, "position": "1", "size": str(page["last_position"]), "name": key}

        def send(request: requests.PreparedRequest, _: str) -> Answered:
            return runner.run(_send(client, request))

        yield send, ids
        runner.run(league.__aexit__(None, None, None))


async def _begun(league: League) -> Any:
    """The events of a league that has begun."""
    await league.__aenter__()
    league.start()
    lubeck = league.marketplaces[0]
    for name in ("one", "two", "three"):
        await lubeck.put(name, name=name)
    await league.settle()
    return (await lubeck.client.get("/league/v1/events")).json()


async def _send(client: AsgiClient, request: requests.PreparedRequest) -> Answered:
    raw = request.body
    body = raw.encode() if isinstance(raw, str) else raw
    assert body is None or isinstance(body, bytes)
    answer = await client.request(
        request.method or "", str(request.url), body=body, headers=wire_headers(request)
    )
    return as_answered(answer, request)


class Attempts:
    """Sends requests, and looks at what comes back."""

    def __init__(self, document: dict[str, Any], send: Send) -> None:
        self._document = document
        self._send = send

    def attempt(self, case: Case[Any], role: str = "operator", *, is_invalid: bool = False) -> None:
        """Send a request; `is_invalid` when it breaks the description."""
        answer = self._send(prepared(case), role)
        about = f"{case.as_curl_command()}: {answer.status_code} {answer.content[:300]!r}"
        if case.method.lower() not in self._document["paths"][case.operation.path]:
            assert answer.status_code == (204 if case.method == "OPTIONS" else 405), about
            assert "allow" in answer.headers
            return
        assert answer.status_code < 500 or _is_away(answer), about
        assert not undescribed_headers(self._document, case, answer), about
        case.validate_response(answer, checks=CHECKS)
        is_about_caller = getattr(case.meta and case.meta.phase.data, "parameter", None) == CREDENTIALS
        if is_invalid and not is_about_caller and answer.status_code < 400:
            case.validate_response(answer, checks=[openapi_checks.negative_data_rejection])


@pytest.mark.parametrize("place", [whole_marketplace, league_in_memory])
def test_hostile_requests_to_the_league_are_answered_as_described(
    place: Any, document: dict[str, Any], tmp_path: Path
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    is_whole = place is whole_marketplace
    with place(tmp_path) as (send, ids):
        attempts = Attempts(document, send)
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            if not is_whole and (operation.path in OF_WHOLE_PLACES or _needs_token(document, operation)):
                continue
            for case in islice(_faults(schema, operation), FAULTS):
                attempts.attempt(case, is_invalid=True)
            _draw(operation, attempts, ids)


def _draw(operation: Any, attempts: Attempts, ids: dict[str, str]) -> None:
    """Draw requests to an operation, invalid and valid ones."""

    @given(case=operation.as_strategy(GenerationMode.NEGATIVE), role=st.sampled_from(ROLES))
    @BOUNDED
    def invalid(case: Case[Any], role: str) -> None:
        attempts.attempt(case, role, is_invalid=True)

    @given(case=operation.as_strategy(), role=st.sampled_from(ROLES), there=st.booleans())
    @BOUNDED
    def valid(case: Case[Any], role: str, there: bool) -> None:
        if there and case.path_parameters:
            case.path_parameters = {name: ids.get(name, "1") for name in case.path_parameters}
        attempts.attempt(case, role)

    with suppress(Unsatisfiable):  # a description that nothing can break
        invalid()
    valid()


def prepared(case: Case[Any]) -> requests.PreparedRequest:
    """The request as it goes over the wire."""
    kwargs = case.as_transport_kwargs(base_url=ENDPOINT)
    names = {"method", "url", "headers", "params", "data", "json"}
    request = requests.Request(**{key: value for key, value in kwargs.items() if key in names}).prepare()
    request.headers.pop(CREDENTIALS, None)
    return request


def _faults(schema: Any, operation: Any) -> Iterator[Case[Any]]:
    cases: Iterator[Case[Any]] = schema.iter_coverage_cases(
        operation,
        generation_modes=[GenerationMode.NEGATIVE],
        generation_config=schema.config.generation_for(operation=operation, phase="coverage"),
    )
    return cases


def _needs_token(document: dict[str, Any], operation: Any) -> bool:
    return {} not in document["paths"][operation.path][operation.method]["security"]


def _is_away(answer: Answered) -> bool:
    """Whether it is the answer of a marketplace that has no ledger, or no engine."""
    body = json.loads(answer.content)
    is_health = body.get("status") == "not ready"
    return answer.status_code == WITHOUT_LEDGER and (is_health or body["code"] == LEDGER_IS_AWAY)
