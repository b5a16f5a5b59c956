"""From where a browser says that a request comes, and whether that is a page of ours."""

from __future__ import annotations

import pytest

from hansa.core.errors import Code, Refused
from hansa.core.own_pages import check_own_page

OWN = frozenset({b"https://market.example"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"origin": b"https://market.example"},
        {b"sec-fetch-site": b"same-origin"},
        {b"sec-fetch-site": b"same-origin", b"origin": b"null"},
        {b"sec-fetch-site": b"none"},
    ],
)
def test_a_page_of_ours_and_a_program_may_send_it(headers: dict[bytes, bytes]) -> None:
    check_own_page(headers, OWN)


@pytest.mark.parametrize(
    "headers",
    [
        {b"origin": b"null"},
        {b"origin": b""},
        {b"origin": b"http://market.example"},
        {b"origin": b"https://market.example.evil.example"},
        {b"sec-fetch-site": b"same-site", b"origin": b"https://market.example"},
        {b"sec-fetch-site": b"cross-site"},
        {b"sec-fetch-site": b"none", b"origin": b"https://evil.example"},
        {b"sec-fetch-site": b"Same-Origin"},
        {b"sec-fetch-site": b""},
    ],
)
def test_a_page_of_somebody_else_may_not(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Refused) as refused:
        check_own_page(headers, OWN)
    assert refused.value.code is Code.FORBIDDEN
