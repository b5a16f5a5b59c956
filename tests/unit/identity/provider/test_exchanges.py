"""Somebody who logged in at one member acts at another, on the word of the first (RFC 8693)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hansa.core.clock import ManualClock
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.identity.provider.endpoints.exchanges import ACCESS_TOKEN, JWT
from tests.support.certificates import NOW
from tests.support.credentials import jwt
from tests.support.logins import ANA
from tests.support.provider import BACK, OTHER_KEY, VERIFIER, Provided, error_of, payload_of

LUBECK, BERGEN, RIGA = "did:example:lubeck", "did:example:bergen", "did:example:riga"
KEYS = {did: SigningKey.generate() for did in (LUBECK, BERGEN, RIGA)}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def members(**statuses: Any) -> tuple[Member, ...]:
    return tuple(
        Member(
            did, did[12:], f"https://{did[12:]}.example", (key.public,), 1, statuses.get(did[12:], "active")
        )
        for did, key in KEYS.items()
    )


class Pair:
    """Two members of a league."""

    def __init__(self, folder: Path, rule: str = f"{LUBECK} * *", **statuses: Any) -> None:
        clock, league = ManualClock(NOW), members(**statuses)
        self.lubeck = Provided(
            folder / "lubeck", clock=clock, did=LUBECK, members=league, member_key=KEYS[LUBECK]
        )
        rules = (rule,) if rule else ()
        self.bergen = Provided(
            *(folder / "bergen",),
            clock=clock,
            issuer="https://bergen.example",
            did=BERGEN,
            members=league,
            delegations=rules,
            member_key=KEYS[BERGEN],
        )

    async def token(self, scope: str = "openid write") -> str:
        """An access token of the first, of its confidential client."""
        form = {
            "grant_type": "authorization_code",
            "code": await self.lubeck.code(client_id="backend", scope=scope),
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }
        token: str = (await self.lubeck.token(form | self.lubeck.assertion())).json()["access_token"]
        return token

    async def stated(self, token: str | None = None, **changes: str) -> Any:
        """The answer of the first to its own token."""
        form = {
            "grant_type": EXCHANGE,
            "subject_token": token or await self.token(),
            "subject_token_type": ACCESS_TOKEN,
            "audience": BERGEN,
        } | changes
        return await self.lubeck.token(form | self.lubeck.assertion())

    async def exchanged(self, statement: str, sender: str = LUBECK, **changes: str) -> Any:
        """The answer of the second to the statement of the first, which sends it."""
        form = {"grant_type": EXCHANGE, "subject_token": statement, "subject_token_type": JWT} | changes
        return await self.bergen.token(form | assertion_of(self.bergen, sender))


def assertion_of(at: Provided, member: str) -> dict[str, str]:
    """How a member proves who it is: by its key on the ledger."""
    key = KEYS[member]._key.private_key
    return at.assertion(member, key, kid=KEYS[member].kid)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


async def test_a_person_acts_at_another_member_with_the_powers_of_the_credential(pair: Pair) -> None:
    stated = (await pair.stated()).json()
    assert (stated["issued_token_type"], stated["token_type"]) == (JWT, "N_A")
    tokens = (await pair.exchanged(stated["access_token"])).json()
    assert tokens["issued_token_type"] == ACCESS_TOKEN
    caller = pair.bergen.authenticate({b"authorization": f"Bearer {tokens['access_token']}".encode()})
    assert (caller.member, caller.organization) == (LUBECK, ANA.organization)
    assert caller.powers[0].function == "ProductOffering"
    assert caller.roles == frozenset()


async def test_the_other_member_learns_a_pseudonym_alone(pair: Pair) -> None:
    statement = (await pair.stated()).json()["access_token"]
    claims = payload_of(statement)
    assert len(claims["sub"]) == 64
    assert not {ANA.subject, ANA.name, ANA.email} & set(map(str, claims.values()))
    assert claims["exp"] - claims["iat"] <= 300


@pytest.mark.parametrize(
    "rule", ["", f"{RIGA} * *", f"{LUBECK} ProductOffering *", f"{LUBECK} * change", f"{LUBECK} * * operator"]
)
async def test_without_a_rule_for_everything_nothing_is_taken(tmp_path: Path, rule: str) -> None:
    pair = Pair(tmp_path, rule)
    answer = await pair.exchanged((await pair.stated()).json()["access_token"])
    assert error_of(answer) == "access_denied"


async def test_a_statement_is_good_once_for_one_member_and_for_a_while(pair: Pair) -> None:
    statement = (await pair.stated()).json()["access_token"]
    assert (await pair.exchanged(statement)).status == 200
    assert error_of(await pair.exchanged(statement)) == "invalid_grant"
    other = (await pair.stated(audience=RIGA)).json()["access_token"]
    assert error_of(await pair.exchanged(other)) == "invalid_grant"
    late = (await pair.stated()).json()["access_token"]
    await pair.bergen.clock.advance(600)
    assert error_of(await pair.exchanged(late)) == "invalid_grant"


async def test_nobody_sends_the_statement_of_another_member(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "* * *")
    statement = (await pair.stated()).json()["access_token"]
    assert error_of(await pair.exchanged(statement, RIGA)) == "invalid_grant"
    form = {"grant_type": EXCHANGE, "subject_token": statement, "subject_token_type": JWT}
    forged = pair.bergen.assertion(LUBECK, OTHER_KEY, kid=KEYS[LUBECK].kid)
    assert error_of(await pair.bergen.token(form | forged)) == "invalid_client"
    assert error_of(await pair.bergen.token(form | {"client_id": "portal"})) == "unauthorized_client"


async def test_a_member_that_is_suspended_delegates_nothing(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    statement = (await pair.stated()).json()["access_token"]
    pair.bergen.members = members(lubeck="suspended")
    assert error_of(await pair.exchanged(statement)) == "invalid_client"


@pytest.mark.parametrize("statement", ["x", "a.b.c", "A" * 20_000])
async def test_what_is_no_statement_is_none(pair: Pair, statement: str) -> None:
    assert error_of(await pair.exchanged(statement)) == "invalid_grant"


async def test_a_statement_that_was_altered_is_none(pair: Pair) -> None:
    claims = payload_of((await pair.stated()).json()["access_token"])
    forged = jwt(OTHER_KEY, claims, typ="person-delegation+jwt", kid=KEYS[LUBECK].kid)
    assert error_of(await pair.exchanged(forged)) == "invalid_grant"


async def test_an_access_token_of_another_member_is_no_subject_token(pair: Pair) -> None:
    token = await pair.token()
    form = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": RIGA,
    }
    assert error_of(await pair.bergen.token(form | pair.bergen.assertion())) == "invalid_grant"
    assert error_of(await pair.exchanged(token)) == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"audience": "did:example:nobody"}, "invalid_target"),
        ({"audience": "https://evil.example"}, "invalid_target"),
        ({"subject_token": "x"}, "invalid_grant"),
        ({"subject_token_type": "urn:x"}, "invalid_request"),
        ({"requested_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"scope": "operate"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
    ],
)
async def test_what_cannot_be_delegated_is_refused(pair: Pair, changes: dict[str, str], error: str) -> None:
    assert error_of(await pair.stated(**changes)) == error


async def test_only_what_was_asked_for_is_delegated(pair: Pair) -> None:
    assert error_of(await pair.stated(await pair.token("openid"))) == "invalid_scope"
    statement = (await pair.stated(await pair.token("read"), scope="read write")).json()
    assert statement["scope"] == "read"
    tokens = (await pair.exchanged(statement["access_token"], scope="read write")).json()
    assert tokens["scope"] == "read"


async def test_what_came_of_a_statement_is_not_delegated_on(pair: Pair) -> None:
    tokens = (await pair.exchanged((await pair.stated()).json()["access_token"])).json()
    form = {
        "grant_type": EXCHANGE,
        "subject_token": tokens["access_token"],
        "subject_token_type": ACCESS_TOKEN,
        "audience": RIGA,
    }
    answer = await pair.bergen.token(form | assertion_of(pair.bergen, LUBECK))
    assert error_of(answer) == "invalid_grant"
