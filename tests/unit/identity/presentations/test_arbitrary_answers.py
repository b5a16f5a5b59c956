"""Whatever a wallet, or anybody else, posts: it is a presentation that holds, or it is refused."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.identity.credentials import CredentialRefused
from hansa.identity.credentials.refusals import SENTENCES
from hansa.identity.presentations.encryption import ResponseKey
from hansa.identity.presentations.responses import WalletError, WalletResponse, read_response
from tests.support.wallets import Scene, encrypted, presented

KEY: Final = ResponseKey("one")
PUBLIC: Final = KEY.public()
STATE: Final = "the-state-of-the-request"
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["vp_token", "state", "error", "sd_jwt", "jwt_vc", "x"]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def outcome(body: bytes) -> WalletResponse | WalletError | Refused:
    try:
        return read_response(body, "direct_post.jwt", KEY, STATE)
    except Refused as error:
        return error


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=500) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes_are_refused(body: bytes) -> None:
    result = outcome(body)
    assert isinstance(result, Refused)
    assert result.code is Code.PRESENTATION_MALFORMED


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["response", "vp_token", "state", "error", "x"]), st.text(max_size=40))
)
def test_arbitrary_forms_are_refused_unless_they_carry_the_state(form: dict[str, str]) -> None:
    result = outcome(urlencode(form).encode("utf-8", "replace"))
    assert isinstance(result, Refused)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_arbitrary_json_that_is_encrypted_rightly_is_taken_with_the_state_alone(content: Any) -> None:
    body = urlencode({"response": encrypted(content, PUBLIC)}).encode()
    result = outcome(body)
    assert isinstance(result, Refused)
    if isinstance(content, dict):
        complete = msgspec.json.encode({**content, "state": STATE})
        result = outcome(urlencode({"response": encrypted(complete, PUBLIC)}).encode())
        assert isinstance(result, WalletResponse | WalletError | Refused)
        assert not isinstance(result, WalletResponse) or result.vp_token == content.get("vp_token")


@settings(max_examples=150, deadline=None)
@given(
    position=st.integers(0, 10_000),
    character=st.characters(min_codepoint=33, max_codepoint=126),
    format_name=st.sampled_from(["sd_jwt", "jwt_vc"]),
)
def test_a_presentation_with_one_other_character_logs_nobody_in_as_somebody_else(
    position: int, character: str, format_name: str
) -> None:
    asyncio.run(altered(position, character, format_name))


async def altered(position: int, character: str, format_name: str) -> None:
    scene = Scene(mode="direct_post")
    begun = scene.begin()
    request = scene.request(begun.same_device)
    text = presented(request, format_name)
    place = position % len(text)
    changed = text[:place] + character + text[place + 1 :]
    form = {"state": request["state"], "vp_token": msgspec.json.encode({format_name: [changed]}).decode()}
    code: Code | None = None
    try:
        await scene.logins.respond(begun.same_device, urlencode(form).encode())
    except CredentialRefused as error:
        code = error.code
    assert (code in SENTENCES) == (changed != text)
