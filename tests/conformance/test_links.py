"""Whole histories along the links of the descriptions: create, read, change, replace, delete, and read again.

Requests and their order are drawn by schemathesis from the documents alone. Beside the form of each answer it
is checked that what was created is there afterwards, and that what was deleted is not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import Case
from schemathesis.core.transport import Response as Answered
from schemathesis.specs.openapi import checks as openapi_checks

from hansa.business.models import Api
from tests.conformance.described import APIS, answered, described, prepared, undescribed_headers
from tests.support.business import open_business

HISTORIES: Final = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "6"))
OF_CI: Final = frozenset({"TMF620", "TMF632", "TMF688", "TMF641"})
TRIED: Final = [api for api in APIS if "SCHEMATHESIS_EXAMPLES" in os.environ or api.id in OF_CI]
STEPS: Final = 8
EXPECTED_FAILURES: Final = frozenset({501, 503})
"""What is not offered, and test events, since no notification is sent here."""
CHECKS: Final = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.use_after_free,
]


@contextmanager
def noting(problems: list[str], about: str) -> Iterator[None]:
    """Note a failure, which Hypothesis reports as another one when it cannot repeat it."""
    try:
        yield
    except Exception as error:
        problems.append(f"{about}: {error}")
        raise


@contextmanager
def machine(
    api: Api, document: dict[str, Any], folder: Path, seen: dict[str, int], problems: list[str]
) -> Iterator[type[Any]]:
    """A state machine of schemathesis that speaks to a business application; `seen` counts its answers."""
    schema = schemathesis.openapi.from_dict(document)
    with asyncio.Runner() as runner:

        class Histories(schema.as_state_machine()):  # type: ignore[misc] # made by schemathesis
            def setup(self) -> None:
                self.business = runner.run(open_business(job_folder=folder))

            def teardown(self) -> None:
                runner.run(self.business.store.close())
                super().teardown()

            def call(self, case: Case[Any], **_: Any) -> Answered:
                answer = runner.run(answered(self.business.anonymous, prepared(api, case, "operator")))
                about = f"{case.method} {case.operation.path} {answer.status_code}"
                seen[about] = seen.get(about, 0) + 1
                return answer

            def validate_response(self, response: Answered, case: Case[Any], *_: Any, **__: Any) -> None:
                about = f"{case.as_curl_command()}: {response.status_code} {response.content[:300]!r}"
                with noting(problems, about):
                    assert response.status_code < 500 or response.status_code in EXPECTED_FAILURES
                    assert not undescribed_headers(document, case, response)
                    case.validate_response(response, checks=CHECKS)

        yield Histories


@pytest.fixture(scope="module")
def seen() -> dict[str, int]:
    """How often each operation had each status, in all histories."""
    return {}


@pytest.mark.parametrize("api", TRIED, ids=lambda api: api.id)
def test_histories_along_the_links_fit_the_description(
    api: Api, tmp_path: Path, seen: dict[str, int]
) -> None:
    problems: list[str] = []
    # What schemathesis draws depends on what it was answered before, which Hypothesis may call flaky.
    with (
        machine(api, described(api), tmp_path, seen, problems) as histories,
        suppress(FlakyStrategyDefinition),
    ):
        histories.run(
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
        )
    assert not problems


def test_some_histories_create_something_and_go_on_with_it(seen: dict[str, int]) -> None:
    """A few histories of one API may create nothing; those of all do."""
    if not seen:
        pytest.skip("no history was tried in this run")
    assert any(one.endswith(" 201") for one in seen), seen
    assert any("{" in one and one.endswith((" 200", " 204")) for one in seen), seen
