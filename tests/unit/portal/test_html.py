from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from hansa.portal.html import Html, fill, html_of, join, link, prose, table


@given(st.text())
def test_a_text_is_shown_as_it_is_and_never_as_markup(text: str) -> None:
    for shown in (html_of(text), join([text]), fill("$value", value=text)):
        assert not {"<", ">", '"', "'"} & set(shown)
        assert unescape(shown) == unescape(html_of(text))
    assert html_of(html_of(text)) == html_of(text)


@given(st.text(alphabet="$x{}<&"))
def test_a_value_is_not_read_as_a_template(text: str) -> None:
    assert fill("$value $more", value=text, more="m") == f"{html_of(text)} m"


def test_markup_stays_markup() -> None:
    assert fill("<p>$part</p>", part=Html("<b>x</b>")) == "<p><b>x</b></p>"
    assert table(("A",), [(Html("<i>1</i>"),), ("<",)]).count("<i>") == 1
    assert "<td>&lt;</td>" in table(("A",), [("<",)])


def test_only_addresses_of_the_web_and_of_this_place_become_links() -> None:
    assert link("/docs").startswith("<a ")
    assert link("https://x.example").startswith("<a ")
    for address in ("javascript:alert(1)", "//elsewhere.example", "ftp://x"):
        assert "<a " not in link(address)


def test_names_in_a_text_are_code() -> None:
    assert prose("set `limit` < 3") == "set <code>limit</code> &lt; 3"
