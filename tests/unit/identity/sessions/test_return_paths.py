"""A browser is sent to paths of this marketplace alone."""

from __future__ import annotations

import pytest

from hansa.identity.sessions import RETURN_PATH_MAX_CHARS, local_path


@pytest.mark.parametrize("path", ["/", "/search?q=storage&page=2", "/oidc/authorize?client_id=a%2Fb"])
def test_a_path_of_ours_is_one(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "search",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\/evil.example",
        "/\t/evil.example/",
        "\n//evil.example",
        "/a\r\nSet-Cookie: x=y",
        "javascript:alert(1)",
        "/ä",
        "/a#b",
        "/x/..//evil.example/../a",
        "/" + "a" * RETURN_PATH_MAX_CHARS,
    ],
)
def test_anything_else_is_none(path: str) -> None:
    assert local_path(path) is None
