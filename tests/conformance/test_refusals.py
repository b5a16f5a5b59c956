"""Requests that break a description are refused: bodies and parameters, methods, and callers without a token.

Invalid requests are drawn by schemathesis: one fault at a time for every keyword of a schema (its coverage),
and several at a time. `FAULTS` says how many of the former are tried for each operation, and has all APIs
tried instead of a few; `SCHEMATHESIS_EXAMPLES` says how many of the latter. A status between 400 and 499 is a
refusal, a success is none.

Attributes that are null count as not set (`hansa.business.validation.validator`), so a body is invalid only
if it is so without them. What a body leaves out may be completed, or done without
(`hansa.business.validation.inferred`): such a body has to be refused where the operator chose `strict`, for
what it lacks and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import given
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response as Answered
from schemathesis.specs.openapi import checks as openapi_checks

from hansa.business.context import Policies
from hansa.business.models import Api
from tests.conformance.described import (
    APIS,
    BOUNDED,
    METHODS,
    answered,
    described,
    filled,
    operations,
    parameters_of,
    prepared,
    seeded,
)
from tests.support.business import Business, open_business
from tests.support.malformed import complaint

FAULTS: Final = int(os.environ.get("FAULTS", "60"))
"""Requests with a single fault, for each operation."""
OF_CI: Final = frozenset({"TMF632", "TMF672", "TMF921"})
TRIED: Final = [api for api in APIS if "FAULTS" in os.environ or api.id in OF_CI]
"""APIs that invalid requests are drawn for. All of them take a quarter of an hour."""
NOT_OFFERED: Final = 501
ANSWER_CHECKS: Final = (
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
)
CONDITIONS: Final = frozenset(
    {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range"}
)
"""Headers that would have a request refused before its body is looked at."""
EVERYBODY: Final[list[dict[str, list[str]]]] = [{}]
CREDENTIALS: Final = "Authorization"
"""Who calls is chosen here, not by schemathesis."""
STRICT: Final = Policies(missing_attributes="strict")
IS_MISSING: Final = ": is required"
NO_CREDENTIALS: Final = (None, "somebody", "")

Try = Callable[[Case[Any]], None]


@pytest.mark.parametrize("api", TRIED, ids=lambda api: api.id)
def test_a_request_that_breaks_the_description_is_refused(api: Api, tmp_path: Path) -> None:
    document = described(api)
    schema = schemathesis.openapi.from_dict(document)
    with asyncio.Runner() as runner:
        business = runner.run(open_business(job_folder=tmp_path))
        strict = business.under(STRICT)
        ids = runner.run(seeded(business, api, document))

        def attempt(case: Case[Any]) -> None:
            prepare(case, ids)
            request = prepared(api, case, "operator")
            answer = runner.run(answered(business.anonymous, request))
            assert answer.status_code < 500 or answer.status_code == NOT_OFFERED, case.as_curl_command()
            case.validate_response(answer, checks=[*ANSWER_CHECKS])
            if is_accepted(case, answer) and not says_what_is_missing(runner.run(answered(strict, request))):
                case.validate_response(answer, checks=[openapi_checks.negative_data_rejection])

        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            for case in islice(faults(schema, operation), FAULTS):
                attempt(case)
            with suppress(Unsatisfiable):  # a description that nothing can break
                BOUNDED(given(case=operation.as_strategy(GenerationMode.NEGATIVE))(attempt))()
        runner.run(business.store.close())


def faults(schema: Any, operation: Any) -> Iterator[Case[Any]]:
    """Requests with one fault each."""
    cases: Iterator[Case[Any]] = schema.iter_coverage_cases(
        operation,
        generation_modes=[GenerationMode.NEGATIVE],
        generation_config=schema.config.generation_for(operation=operation, phase="coverage"),
    )
    return cases


def prepare(case: Case[Any], ids: dict[str, str]) -> None:
    """Let a request get as far as what is wrong with it: to an entity that exists, without conditions."""
    assert case.meta is not None
    data = case.meta.phase.data
    place = getattr(data, "parameter_location", None)
    if case.path_parameters and (place is None or place.name != "PATH"):
        case.path_parameters = parameters_of(case.path, ids)
    for name in [*(case.headers or {})]:
        if name.lower() in CONDITIONS and name != getattr(data, "parameter", None):
            del case.headers[name]


def is_accepted(case: Case[Any], answer: Answered) -> bool:
    """Whether an invalid request was not refused."""
    parameter = getattr(case.meta and case.meta.phase.data, "parameter", None)
    is_refused = 400 <= answer.status_code < 500
    return not is_refused and parameter != CREDENTIALS and without_nulls(case.body) == case.body


def says_what_is_missing(answer: Answered) -> bool:
    """Whether a request was refused for attributes that it leaves out, and for nothing else."""
    if answer.status_code != 400:
        return False
    problems = json.loads(answer.content)["message"].removesuffix(".").split("; ")
    return all(one.endswith(IS_MISSING) for one in problems)


def without_nulls(value: Any) -> Any:
    """A value without the attributes that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
async def test_a_method_that_is_not_described_is_refused_with_those_that_are(
    api: Api, tmp_path: Path
) -> None:
    business, ids, paths = await opened(api, tmp_path)
    for path, methods in paths.items():
        expected = {method.upper() for method in methods} | {"OPTIONS"} | heads(methods)
        for method in [*METHODS, "head", "trace", "connect", "lock", "x"]:
            if method in methods or (method == "head" and "get" in methods):
                continue
            target = api.base_path.rstrip("/") + filled(path, ids)
            answer = await business.operator.request(method.upper(), target, body=b"{}")
            assert answer.status == 405, (method, target, answer.status)
            allowed = {one.strip() for one in answer.headers["allow"].split(",")}
            assert allowed == expected, (method, target, allowed)
    await business.store.close()


def heads(methods: set[str]) -> set[str]:
    """HEAD, where there is GET."""
    return {"HEAD"} if "get" in methods else set()


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
async def test_who_has_no_valid_token_gets_401_and_changes_nothing(api: Api, tmp_path: Path) -> None:
    business, ids, _ = await opened(api, tmp_path)
    before = await business.store.last_change()
    complaints = []
    for path, method, operation in operations(described(api)):
        target = api.base_path.rstrip("/") + filled(path, ids)
        if operation.get("security") == EVERYBODY:
            continue  # it depends on no token, and is served to whoever sends any
        for token in NO_CREDENTIALS:
            if token is None and {} in operation.get("security", ()):
                continue
            is_hidden = token is None and "x-hansa-role" in operation
            headers = {} if token is None else {"authorization": f"Bearer {token}".strip()}
            for body in (b"", b"{}", b"[" * 1000):
                answer = await business.anonymous.request(method.upper(), target, body=body, headers=headers)
                allowed = [405] if is_hidden else [401]
                about = f"token {token!r}"
                complaints.append(complaint(method, target, about, answer.status, answer.body, allowed))
                assert is_hidden or answer.headers["www-authenticate"].startswith("Bearer"), (method, target)
    assert [one for one in complaints if one] == []
    assert await business.store.last_change() == before
    await business.store.close()


async def opened(api: Api, folder: Path) -> tuple[Business, dict[str, str], dict[str, set[str]]]:
    """A business application with an entity of each kind, and the methods of each path."""
    business, document = await open_business(job_folder=folder), described(api)
    paths: dict[str, set[str]] = {}
    for path, method, _ in operations(document):
        paths.setdefault(path, set()).add(method)
    return business, await seeded(business, api, document), paths
