from __future__ import annotations

import base64
import json
import os

import msgspec
import pytest

from hansa.core.access import ANONYMOUS, AccessTarget, Action, Caller, authorize_by_role
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.jws import token_header
from hansa.core.keys import SigningKey
from hansa.identity import TokenAuthenticate, issue_token
from hansa.identity.tokens import LIFETIME_MAX_S

DID = "did:example:lubeck"
KEY = SigningKey.generate()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def authenticate(clock: ManualClock) -> TokenAuthenticate:
    return TokenAuthenticate(KEY.verifying_key(), DID, clock, LIFETIME_MAX_S)


def token(
    clock: ManualClock,
    *,
    did: str = DID,
    key: SigningKey = KEY,
    role: str = "provider",
    expires_in_s: float = 60,
) -> str:
    return issue_token(key, did, "anna", [role], expires_in_s, clock, os.urandom)


def bearer(compact: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + compact.encode()}


def refusal(authenticate: TokenAuthenticate, headers: dict[bytes, bytes]) -> str:
    with pytest.raises(Refused) as caught:
        authenticate(headers)
    assert caught.value.code is Code.UNAUTHENTICATED
    return caught.value.message


def test_a_token_names_its_subject_and_roles(clock: ManualClock, authenticate: TokenAuthenticate) -> None:
    caller = authenticate(bearer(token(clock)))
    assert caller == Caller(subject="anna", roles=frozenset({"provider"}))
    assert caller.may_write
    assert not authenticate(bearer(token(clock, role="reader"))).may_write


def test_no_token_is_an_anonymous_caller(authenticate: TokenAuthenticate) -> None:
    assert authenticate({}) == ANONYMOUS


async def test_an_expired_token_is_refused_also_when_it_was_verified_before(
    clock: ManualClock, authenticate: TokenAuthenticate
) -> None:
    headers = bearer(token(clock, expires_in_s=60))
    assert authenticate(headers).is_authenticated
    await clock.advance(60)
    assert "expired" in refusal(authenticate, headers)


def test_a_token_of_another_marketplace_is_refused(
    clock: ManualClock, authenticate: TokenAuthenticate
) -> None:
    assert "another marketplace" in refusal(authenticate, bearer(token(clock, did="did:example:riga")))


def test_a_token_signed_with_another_key_is_refused(
    clock: ManualClock, authenticate: TokenAuthenticate
) -> None:
    assert "not issued" in refusal(authenticate, bearer(token(clock, key=SigningKey.generate())))


def test_a_changed_payload_is_refused(clock: ManualClock, authenticate: TokenAuthenticate) -> None:
    header, payload, signature = token(clock, role="reader").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "roles": ["operator"]}).encode())
    assert "not issued" in refusal(
        authenticate, bearer(f"{header}.{forged.rstrip(b'=').decode()}.{signature}")
    )


@pytest.mark.parametrize("algorithm", ["none", "HS256", "Ed25519"])
def test_the_algorithm_is_not_the_callers_choice(
    clock: ManualClock, authenticate: TokenAuthenticate, algorithm: str
) -> None:
    _, payload, signature = token(clock).split(".")
    header = json.dumps({"alg": algorithm, "kid": KEY.kid, "typ": "at+jwt"}).encode()
    encoded = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
    refusal(authenticate, bearer(f"{encoded}.{payload}.{signature}"))
    refusal(authenticate, bearer(f"{encoded}.{payload}."))
    assert authenticate({}) == ANONYMOUS


def test_a_jws_of_another_kind_is_no_token(clock: ManualClock, authenticate: TokenAuthenticate) -> None:
    event = KEY.sign(b"{}", token_header("other+jwt"), typ="other+jwt")
    assert "not an access token" in refusal(authenticate, bearer(event))


@pytest.mark.parametrize(
    "value",
    [b"Bearer", b"Bearer ", b"Bearer a.b.c", b"Bearer \xff\xfe", b"Basic YTpi", b"Bearer " + b"x" * 9000],
)
def test_a_malformed_authorization_header_is_refused(authenticate: TokenAuthenticate, value: bytes) -> None:
    assert refusal(authenticate, {b"authorization": value})


def test_a_signed_payload_that_is_no_claims_is_refused(authenticate: TokenAuthenticate) -> None:
    for payload in (b"[]", b"{}", b'{"exp":"never"}', b"\xff"):
        assert "malformed" in refusal(
            authenticate, bearer(KEY.sign(payload, token_header("at+jwt"), typ="at+jwt"))
        )


async def test_a_token_from_the_future_is_refused(clock: ManualClock) -> None:
    later = ManualClock()
    await later.advance(3600)
    early = TokenAuthenticate(KEY.verifying_key(), DID, clock, LIFETIME_MAX_S)
    assert "future" in refusal(early, bearer(token(later, expires_in_s=7200)))


def test_the_memory_of_verified_tokens_is_bounded(clock: ManualClock) -> None:
    authenticate = TokenAuthenticate(KEY.verifying_key(), DID, clock, LIFETIME_MAX_S, cached_max=2)
    for _ in range(5):
        authenticate(bearer(token(clock)))
    assert len(authenticate.cache) == 2


def test_a_token_that_could_not_be_used_is_not_issued(clock: ManualClock) -> None:
    for subject, roles, expires_in_s in (
        ("", ["reader"], 9),
        ("a\nb", ["reader"], 9),
        ("a", ["king"], 9),
        ("a", [], 9),
        ("a", ["reader"], 0),
        ("a", ["reader"], 91 * 86_400),
    ):
        with pytest.raises(Refused) as caught:
            issue_token(KEY, DID, subject, roles, expires_in_s, clock, os.urandom)
        assert caught.value.code is Code.INVALID


def signed(claims: dict[str, object]) -> dict[bytes, bytes]:
    """The header of a token that this marketplace signed, with whatever claims."""
    return bearer(KEY.sign(msgspec.json.encode(claims), token_header("at+jwt"), typ="at+jwt"))


def claims_of(clock: ManualClock, **changed: object) -> dict[str, object]:
    now = int(clock.now().timestamp())
    usual = {"iss": DID, "aud": DID, "sub": "anna", "iat": now, "nbf": now, "exp": now + 60, "jti": "1"}
    merged = {**usual, "roles": ["operator"], **changed}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.mark.parametrize(
    "roles",
    [None, [], ["king"], ["Operator"], ["OPERATOR"], [" operator"], ["operator\u0000"], ["admin", ""]],
)
def test_a_token_without_a_known_role_gives_no_right(
    clock: ManualClock, authenticate: TokenAuthenticate, roles: list[str] | None
) -> None:
    caller = authenticate(signed(claims_of(clock, roles=roles)))
    assert (caller.is_authenticated, caller.may_read, caller.may_write) == (True, False, False)
    private, public = (
        AccessTarget("Party", "Individual", is_private=True),
        AccessTarget("X", "X", is_private=False),
    )
    assert authorize_by_role(caller, Action.READ, private).refusal is Code.FORBIDDEN
    assert authorize_by_role(caller, Action.READ, public).public_only
    for action in (Action.EXPORT, Action.CREATE, Action.CHANGE, Action.DELETE):
        assert authorize_by_role(caller, action, public).refusal is Code.FORBIDDEN


@pytest.mark.parametrize(
    "roles", ["operator", "reader", {"operator": True}, ["operator", 1], [["operator"]], True, 7]
)
def test_roles_of_another_type_make_a_token_malformed(
    clock: ManualClock, authenticate: TokenAuthenticate, roles: object
) -> None:
    assert "malformed" in refusal(authenticate, signed(claims_of(clock, roles=roles)))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"])
def test_every_claim_is_required(clock: ManualClock, authenticate: TokenAuthenticate, name: str) -> None:
    assert "malformed" in refusal(authenticate, signed(claims_of(clock, **{name: None})))


@pytest.mark.parametrize(
    ("begin_s", "end_s"), [(0, 7_776_001), (-(10**12), 60), (0, 10**30), (0, 0), (5, 1), (-(10**30), 10**30)]
)
def test_a_lifetime_out_of_bounds_is_refused(
    clock: ManualClock, authenticate: TokenAuthenticate, begin_s: int, end_s: int
) -> None:
    now = int(clock.now().timestamp())
    claims = claims_of(clock, iat=now + begin_s, exp=now + end_s)
    assert "too long" in refusal(authenticate, signed(claims))


@pytest.mark.parametrize("value", ["60", 1.5, True, None, [1], "never"])
def test_a_time_of_another_type_is_refused(
    clock: ManualClock, authenticate: TokenAuthenticate, value: object
) -> None:
    for name in ("iat", "nbf", "exp"):
        assert "malformed" in refusal(authenticate, signed(claims_of(clock, **{name: value})))


async def test_a_token_is_good_from_its_time_on(clock: ManualClock, authenticate: TokenAuthenticate) -> None:
    headers = signed(claims_of(clock, nbf=int(clock.now().timestamp()) + 50))
    assert "not good yet" in refusal(authenticate, headers)
    await clock.advance(21)
    assert authenticate(headers).may_write


@pytest.mark.parametrize(
    ("role", "scopes", "roles"),
    [
        ("operator", ["read"], {"reader"}),
        ("operator", ["write"], {"provider"}),
        ("operator", ["operate"], {"operator"}),
        ("provider", ["read"], {"reader"}),
        ("provider", ["write"], {"provider"}),
        ("provider", ["operate"], {"reader"}),
        ("reader", ["write", "operate"], {"reader"}),
    ],
)
def test_a_scope_leaves_less_of_the_roles_and_never_more(
    clock: ManualClock, authenticate: TokenAuthenticate, role: str, scopes: list[str], roles: set[str]
) -> None:
    issued = issue_token(KEY, DID, "anna", [role], 60, clock, os.urandom, scopes=scopes)
    assert authenticate(bearer(issued)).roles == roles


def test_a_scope_that_is_none_is_refused(clock: ManualClock) -> None:
    with pytest.raises(Refused) as caught:
        issue_token(KEY, DID, "anna", ["operator"], 60, clock, os.urandom, scopes=["everything"])
    assert caught.value.code is Code.INVALID


def test_a_token_of_unknown_scopes_opens_nothing(clock: ManualClock, authenticate: TokenAuthenticate) -> None:
    now = int(clock.now().timestamp())
    claims = {"iss": DID, "aud": DID, "sub": "anna", "iat": now, "nbf": now, "exp": now + 60, "jti": "1"}
    content = msgspec.json.encode(claims | {"roles": ["operator"], "scope": "everything"})
    issued = KEY.sign(content, token_header("at+jwt"), typ="at+jwt")
    assert authenticate(bearer(issued)).roles == frozenset()
