from __future__ import annotations

import os

import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.jws import token_header
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity import MEMBER_TOKEN_HEADER, MemberCallerCheck, MemberSigner

LIMITS = Limits()
KEYS = {"lubeck": SigningKey.generate(), "riga": SigningKey.generate("Ed25519")}
URL = "http://riga.example:8103/league/v1/entities/urn:x?hl=abc"


def member(name: str, status: str = "active") -> Member:
    return Member(
        did=f"did:example:{name}",
        name=name,
        endpoint=f"http://{name}.example:8103",
        keys=(KEYS[name].public,),
        power=1,
        status=status,  # type: ignore[arg-type]
    )


class Pair:
    """Lubeck, who asks, and Riga, who is asked."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.members = [member("lubeck"), member("riga")]
        self.endpoints: tuple[str, ...] = ("http://riga.example:8103",)
        self.signer = MemberSigner(KEYS["lubeck"], "did:example:lubeck", self.clock, os.urandom, LIMITS)
        self.check = MemberCallerCheck(
            "did:example:riga",
            lambda: self.endpoints,
            lambda: self.members,
            self.clock,
            LIMITS,
            used_per_member_max=3,
        )

    def headers(
        self, method: str = "GET", url: str = URL, body: bytes = b"", audience: str = "did:example:riga"
    ) -> dict[str, str]:
        made = self.signer.headers(audience, method, url, body)
        return {name.lower(): value for name, value in made.items()}

    async def refusal(
        self, headers: dict[str, str], method: str = "GET", url: str = URL, body: bytes = b""
    ) -> str:
        with pytest.raises(Refused) as caught:
            await self.check.member(method, url, headers, body)
        assert caught.value.code is Code.UNAUTHENTICATED
        return caught.value.message


@pytest.fixture
def pair() -> Pair:
    return Pair()


async def test_a_signed_request_names_its_member(pair: Pair) -> None:
    assert await pair.check.member("GET", URL, pair.headers(), b"") == "did:example:lubeck"
    posted = pair.headers("POST", URL, b"[1]")
    assert await pair.check.member("POST", URL, posted, b"[1]") == "did:example:lubeck"


async def test_an_unsigned_request_names_nobody(pair: Pair) -> None:
    assert await pair.check.member("GET", URL, {}, b"") is None


async def test_the_host_that_a_proxy_shows_does_not_matter(pair: Pair) -> None:
    seen = "http://10.0.0.7/league/v1/entities/urn:x?hl=abc"
    assert await pair.check.member("GET", seen, pair.headers(), b"") == "did:example:lubeck"


async def test_a_token_holds_for_its_own_request_alone(pair: Pair) -> None:
    assert "another request" in await pair.refusal(pair.headers(), url=URL + "d")
    assert "another request" in await pair.refusal(pair.headers(), method="POST")
    assert "body" in await pair.refusal(pair.headers(), body=b"{}")
    assert "another member" in await pair.refusal(pair.headers(audience="did:example:bergen"))
    elsewhere = pair.headers(url=URL.replace("riga", "bergen"))
    assert "another request" in await pair.refusal(elsewhere)


async def test_a_token_is_good_once(pair: Pair) -> None:
    headers = pair.headers()
    await pair.check.member("GET", URL, headers, b"")
    assert "used before" in await pair.refusal(headers)


async def test_an_old_token_is_refused_also_when_its_use_was_forgotten(pair: Pair) -> None:
    headers = pair.headers()
    await pair.check.member("GET", URL, headers, b"")
    await pair.clock.advance(LIMITS.request_age_max_s)
    assert "expired" in await pair.refusal(headers)
    await pair.clock.advance(3 * LIMITS.request_age_max_s)
    assert "expired" in await pair.refusal(headers)


async def test_clocks_may_differ_a_little_and_not_more(pair: Pair) -> None:
    ahead = ManualClock()
    await ahead.advance(LIMITS.request_age_max_s - 5)
    pair.signer = MemberSigner(KEYS["lubeck"], "did:example:lubeck", ahead, os.urandom, LIMITS)
    assert await pair.check.member("GET", URL, pair.headers(), b"") == "did:example:lubeck"
    await ahead.advance(10)
    assert "future" in await pair.refusal(pair.headers())


async def test_strangers_and_former_members_are_refused(pair: Pair) -> None:
    pair.members = [member("riga")]
    assert "not of a member" in await pair.refusal(pair.headers())
    for status in ("left", "removed"):
        pair.members = [member("riga"), member("lubeck", status)]
        assert "not of a member" in await pair.refusal(pair.headers())


async def test_a_suspended_member_reads_what_members_may_read(pair: Pair) -> None:
    pair.members = [member("riga"), member("lubeck", "suspended")]
    assert await pair.check.member("GET", URL, pair.headers(), b"") == "did:example:lubeck"


async def test_a_member_cannot_speak_for_another(pair: Pair) -> None:
    pair.signer = MemberSigner(KEYS["riga"], "did:example:lubeck", pair.clock, os.urandom, LIMITS)
    assert "does not know" in await pair.refusal(pair.headers())


async def test_a_forged_signature_is_refused(pair: Pair) -> None:
    token = pair.headers()[MEMBER_TOKEN_HEADER.lower()]
    other = pair.headers()[MEMBER_TOKEN_HEADER.lower()]
    forged = token.rpartition(".")[0] + "." + other.rpartition(".")[2]
    assert "signature" in await pair.refusal({"member-token": forged})


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "é.b.c", "." * 10_000])
async def test_a_malformed_token_is_refused(pair: Pair, value: str) -> None:
    assert await pair.refusal({"member-token": value})


async def test_a_signed_jws_of_another_kind_is_refused(pair: Pair) -> None:
    assert await pair.refusal(
        {"member-token": KEYS["lubeck"].sign(b"{}", token_header("other+jwt"), typ="other+jwt")}
    )


async def test_a_member_that_asks_too_often_waits_until_its_tokens_have_expired(pair: Pair) -> None:
    for _ in range(3):
        await pair.check.member("GET", URL, pair.headers(), b"")
    with pytest.raises(Unavailable) as caught:
        await pair.check.member("GET", URL, pair.headers(), b"")
    assert caught.value.code is Code.OVERLOADED
    await pair.clock.advance(2 * LIMITS.request_age_max_s + 2)
    assert await pair.check.member("GET", URL, pair.headers(), b"") == "did:example:lubeck"


async def test_a_request_to_an_endpoint_of_a_moment_ago_is_accepted_for_as_long_as_that_is_one_of_ours() -> (
    None
):
    pair = Pair()
    headers = pair.headers()
    pair.endpoints = ("https://new.riga.example", "http://riga.example:8103")
    assert await pair.check.member("GET", URL, headers, b"") == "did:example:lubeck"
    pair.endpoints = ("https://new.riga.example",)
    with pytest.raises(Refused, match="for another request"):
        await pair.check.member("GET", URL, pair.headers(), b"")
