from __future__ import annotations

import msgspec
import pytest

from hansa.core.error_response import REASONS, error_response
from hansa.core.errors import HTTP_STATUS, Code, HansaError, Refused, Unavailable


@pytest.mark.parametrize("code", HTTP_STATUS)
def test_every_code_that_a_caller_can_meet_has_its_status_and_a_short_reason(code: Code) -> None:
    response = error_response(Refused(code, "A message."))
    body = msgspec.json.decode(response.body)
    assert (response.status, body["status"]) == (HTTP_STATUS[code], str(HTTP_STATUS[code]))
    assert body["code"] == code.value
    assert body["referenceError"] == f"/docs/errors#{code.value}"
    assert body["reason"] == REASONS[code]
    assert len(body["reason"].split()) <= 6


def test_the_reasons_are_those_of_the_codes_that_a_caller_can_meet() -> None:
    assert REASONS.keys() == HTTP_STATUS.keys()


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.HASH_MISMATCH])
def test_an_error_inside_is_reported_without_its_message(code: Code) -> None:
    response = error_response(HansaError(code, "The secret."))
    body = msgspec.json.decode(response.body)
    assert (response.status, body["code"], body["reason"]) == (500, "internal", "Internal server error")
    assert b"secret" not in response.body


@pytest.mark.parametrize(("retry_after_s", "seconds"), [(2.0, "2"), (0.1, "1"), (30.4, "30")])
def test_an_error_that_may_pass_says_in_header_and_message_when_to_try_again(
    retry_after_s: float, seconds: str
) -> None:
    response = error_response(Unavailable(Code.OVERLOADED, "Too many requests.", retry_after_s))
    assert dict(response.headers)[b"retry-after"] == seconds.encode()
    assert msgspec.json.decode(response.body)["message"] == f"Too many requests. Try again in {seconds} s."


def test_an_error_that_stays_says_nothing_of_trying_again() -> None:
    assert b"retry-after" not in dict(error_response(Refused(Code.INVALID, "No.")).headers)


def test_a_request_without_credentials_is_challenged_for_them() -> None:
    headers = dict(error_response(Refused(Code.UNAUTHENTICATED, "Send a token.")).headers)
    assert headers[b"www-authenticate"] == b"Bearer"


def test_a_status_can_be_more_specific_than_the_code() -> None:
    response = error_response(Refused(Code.NOT_FOUND, "It has been deleted."), status=410)
    assert (response.status, msgspec.json.decode(response.body)["status"]) == (410, "410")
