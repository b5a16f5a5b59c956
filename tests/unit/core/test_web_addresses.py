"""Web addresses that others name: one decision for those who register them and those who use them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from hansa.core.errors import Code, Refused
from hansa.core.web_addresses import web_address

LABEL = "a" * 63


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://listener.example", "http://listener.example:80"),
        ("HTTPS://Listener.Example/a?b=c#".rstrip("#"), "https://listener.example:443"),
        ("http://my_service:9000/listener", "http://my_service:9000"),
        ("http://localhost:1/", "http://localhost:1"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example:80"),
        ("http://10.0.0.1:65535?x", "http://10.0.0.1:65535"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
        (f"http://{LABEL}.{LABEL}.{LABEL}.{'a' * 61}/", f"http://{LABEL}.{LABEL}.{LABEL}.{'a' * 61}:80"),
    ],
)
def test_an_address_has_one_origin(text: str, origin: str) -> None:
    assert web_address(text).origin == origin


@pytest.mark.parametrize(
    "host",
    [
        "xn--", "xn--a", "xn--0.example", "a..b", ".a", "a.", ".", "-a.example", "a-.example", f"{LABEL}a.example",
        f"{LABEL}.{LABEL}.{LABEL}.{LABEL}", "bücher.example", "ex%61mple", "a b", "a\tb", "a!b", "a,b", "*", "a;b",
        "0x7f.1", "2130706433", "127.1", "0177.0.0.1", "1.2.3.4.5", "256.1.1.1", "1.2.3.999", "a.1", "a.0x1", "0x",
        "[::1", "::1", "[::1]]", "[]", "[v1.a]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[::g]", "[1.2.3.4]", "[::1]a",
        "a:", "a:0", "a:080", "a:65536", "a:-1", "a:+1", "a:1_0", "a:\uff11", "a:b", "a:1:2", "[::1]:", "[::1]80",
        "u@a", "u:p@a", "@a", "a@", "a\\b", "a\\@b", "", ":80", "\u2488a", "a\u3002b", "\uff41.example", "a\u00adb",
    ],
)  # fmt: skip
@pytest.mark.parametrize("rest", ["/", "", "?q"])
def test_a_host_in_another_form_is_refused(host: str, rest: str) -> None:
    with pytest.raises(Refused) as caught:
        web_address(f"http://{host}{rest}")
    assert caught.value.code is Code.HOST_NOT_ALLOWED


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1/", "http://[::1]/", "http://10.1.2.3/", "http://[::ffff:a00:1]/"]
)
def test_a_private_address_is_refused_where_it_must_not_be_used(text: str) -> None:
    assert web_address(text).ip is not None
    with pytest.raises(Refused, match="public"):
        web_address(text, allow_private_networks=False)


def test_an_address_of_a_clouds_machine_is_always_refused() -> None:
    with pytest.raises(Refused, match="public"):
        web_address("http://169.254.169.254/latest")


HOSTS = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"(xn--)?[a-z0-9_.-]{0,70}(:[0-9]{0,6})?", fullmatch=True),
    st.from_regex(r"\[[0-9a-f:.%]{0,40}\](:[0-9]{0,6})?", fullmatch=True),
)


@given(
    scheme=st.sampled_from(["http://", "https://", "HTTP://", "ftp://", ""]),
    host=HOSTS,
    rest=st.text(max_size=20),
)
def test_whatever_is_accepted_can_be_used_and_nothing_else_is_raised(
    scheme: str, host: str, rest: str
) -> None:
    text = scheme + host + rest
    try:
        address = web_address(text)
    except Refused:
        return
    url = URL(text, encoded=True)
    assert (url.scheme, url.host is None, url.port) == (address.scheme, False, address.port)
    assert web_address(address.origin) == address
    address.host.encode("idna" if address.ip is None else "ascii")
