from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from hansa.portal.frame.languages import catalogues
from hansa.portal.frame.reader import PageReader, local_path, reader_of


def reader(query: str = "", **headers: str) -> PageReader:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "query_string": query.encode("utf-8", "surrogatepass"),
        "headers": [
            (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()
        ],
    }
    return reader_of(Request(scope), catalogues())


@pytest.mark.parametrize(
    ("accepted", "language", "locale"),
    [
        ("", "en", "en_GB"),
        ("de-AT,de;q=0.9", "de", "de_AT"),
        ("pl, fr;q=0.2, es;q=0.7", "es", "es_ES"),
        ("de;q=0, it", "it", "it_IT"),
        ("en-US", "en", "en_US"),
        ("xx-YY", "en", "en_GB"),
        ("*", "en", "en_GB"),
        (";;;,,,q=", "en", "en_GB"),
    ],
)
def test_the_browser_says_language_and_region(accepted: str, language: str, locale: str) -> None:
    assert (reader(accept_language=accepted).language, reader(accept_language=accepted).locale) == (
        language,
        locale,
    )


def test_a_choice_in_the_address_is_before_the_cookie_and_that_before_the_browser() -> None:
    assert reader("lang=it", cookie="lang=de", accept_language="fr").language == "it"
    assert reader(cookie="lang=de", accept_language="fr").language == "de"
    assert reader("lang=klingon", cookie="lang=de", accept_language="fr").language == "fr"


def test_a_theme_is_one_of_two() -> None:
    assert reader(cookie="theme=dark").theme == "dark"
    assert reader(cookie='theme="><script>').theme is None


@given(st.text(), st.text(alphabet=st.characters(max_codepoint=255)))
def test_nothing_that_is_sent_makes_a_reader_fail(query: str, header: str) -> None:
    made = reader(query, accept_language=header, cookie=header)
    assert made.language in catalogues()
    assert local_path(made.path) == made.path


@given(st.text(alphabet=st.sampled_from("/\\:a.?#@ \t\n\r%é")))
def test_a_path_that_leads_back_stays_on_this_server(text: str) -> None:
    path = local_path(text)
    assert path is None or (path[0] == "/" and path[1:2] not in {"/", "\\"} and "\\" not in path)
