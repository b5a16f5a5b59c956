"""Answers of wallets that do not hold, or cannot be read; and what is logged of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from hansa.core.errors import Code, Refused, Unavailable
from hansa.identity.credentials import CredentialRefused
from hansa.identity.presentations import LoginState
from hansa.identity.presentations.encryption import ENCRYPTED_SIZE_MAX_BYTES
from tests.support.certificates import authority
from tests.support.credentials import (
    HOLDER,
    LIST_URI,
    NOW_S,
    THIEF,
    Verifying,
    bound,
    jwt_vc,
    jwt_vp,
    lear,
    mandate,
    sd_claims,
    sd_jwt,
    seal,
    status,
    token_list,
)
from tests.support.wallets import (
    Scene,
    access_certificate,
    answer_form,
    encrypted,
    identity_of,
    presented,
    response_code,
)

Request = dict[str, Any]


# Presentations that do not hold.

FORGED: dict[str, tuple[Callable[[Request], Any], Code]] = {
    "for another verifier": (
        lambda r: bound(sd_jwt(), HOLDER, {"aud": "x509_hash:other", "nonce": r["nonce"]}),
        Code.PRESENTATION_FOREIGN,
    ),
    "for the client id without its prefix": (
        lambda r: bound(sd_jwt(), HOLDER, {"aud": r["client_id"].partition(":")[2], "nonce": r["nonce"]}),
        Code.PRESENTATION_FOREIGN,
    ),
    "for another request": (
        lambda r: bound(sd_jwt(), HOLDER, {"aud": r["client_id"], "nonce": "n-other"}),
        Code.PRESENTATION_FOREIGN,
    ),
    "a W3C one for another verifier": (
        lambda r: jwt_vp(jwt_vc(), HOLDER, {"aud": "https://other.example", "nonce": r["nonce"]}),
        Code.PRESENTATION_FOREIGN,
    ),
    "without key binding": (lambda _: sd_jwt(), Code.PRESENTATION_UNBOUND),
    "bound by another key": (lambda r: presented(r, holder=THIEF), Code.PRESENTATION_UNBOUND),
    "a W3C one by another key": (lambda r: presented(r, "jwt_vc", THIEF), Code.PRESENTATION_UNBOUND),
    "a W3C credential that nobody presents": (lambda _: jwt_vc(), Code.CREDENTIAL_MALFORMED),
    "signed in nobody's name": (
        lambda r: bound(sd_jwt(alg="none"), HOLDER, {"aud": r["client_id"], "nonce": r["nonce"]}),
        Code.CREDENTIAL_MALFORMED,
    ),
    "bound in nobody's name": (
        lambda r: bound(sd_jwt(), HOLDER, {"aud": r["client_id"], "nonce": r["nonce"]}, alg="none"),
        Code.CREDENTIAL_MALFORMED,
    ),
    "signed with a public key as a secret": (
        lambda r: bound(sd_jwt(alg="HS256"), HOLDER, {"aud": r["client_id"], "nonce": r["nonce"]}),
        Code.CREDENTIAL_MALFORMED,
    ),
    "of an issuer whom nobody knows": (
        lambda r: bound(
            sd_jwt(issuer=seal(authority("Unknown CA"))),
            HOLDER,
            {"aud": r["client_id"], "nonce": r["nonce"]},
        ),
        Code.CREDENTIAL_ISSUER_UNTRUSTED,
    ),
    "of a self-signed certificate with the right name": (
        lambda r: bound(sd_jwt(issuer=seal(None)), HOLDER, {"aud": r["client_id"], "nonce": r["nonce"]}),
        Code.CREDENTIAL_ISSUER_UNTRUSTED,
    ),
    "expired": (
        lambda r: bound(
            sd_jwt(sd_claims(exp=NOW_S - 301)), HOLDER, {"aud": r["client_id"], "nonce": r["nonce"]}
        ),
        Code.CREDENTIAL_EXPIRED,
    ),
    "signed too long ago": (
        lambda r: bound(sd_jwt(), HOLDER, {"aud": r["client_id"], "nonce": r["nonce"], "iat": NOW_S - 601}),
        Code.PRESENTATION_EXPIRED,
    ),
    "of a type that was not requested": (
        lambda r: bound(
            sd_jwt(sd_claims(vct="learcredential.employee.sd.9")),
            HOLDER,
            {"aud": r["client_id"], "nonce": r["nonce"]},
        ),
        Code.CREDENTIAL_NOT_REQUESTED,
    ),
    "of a machine": (
        lambda r: jwt_vp(
            jwt_vc(
                lear(
                    type=["VerifiableCredential", "LEARCredentialMachine"],
                )
            ),
            HOLDER,
            {"aud": r["client_id"], "nonce": r["nonce"]},
        ),
        Code.CREDENTIAL_NOT_REQUESTED,
    ),
    "for another organisation": (
        lambda r: bound(
            sd_jwt(sd_claims(mandate=mandate(organization="VATES-99999999"))),
            HOLDER,
            {"aud": r["client_id"], "nonce": r["nonce"]},
        ),
        Code.CREDENTIAL_TYPE_UNTRUSTED,
    ),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_presentation_that_does_not_hold_is_refused(what: str) -> None:
    make, code = FORGED[what]
    scene = Scene()
    begun = scene.begin()
    request = scene.request(begun.same_device)
    with pytest.raises(CredentialRefused) as caught:
        await scene.logins.respond(begun.same_device, answer_form(request, make(request)))
    view = scene.logins.view(begun.id, begun.secret)
    assert caught.value.code is code
    assert view is not None
    assert view.state is LoginState.REFUSED
    assert view.sentence == caught.value.message, "the person reads the one sentence"


async def test_a_revoked_credential_is_refused() -> None:
    verifying = Verifying(pages={LIST_URI: token_list({7: 1})})
    scene = Scene(verifying)
    name = scene.begin().same_device
    request = scene.request(name)
    text = bound(
        sd_jwt(sd_claims(status=status())), HOLDER, {"aud": request["client_id"], "nonce": request["nonce"]}
    )
    assert await scene.refused(name, text) is Code.CREDENTIAL_REVOKED


async def test_a_status_that_cannot_be_fetched_logs_nobody_in() -> None:
    scene = Scene()
    name = scene.begin().same_device
    request = scene.request(name)
    text = bound(
        sd_jwt(sd_claims(status=status())), HOLDER, {"aud": request["client_id"], "nonce": request["nonce"]}
    )
    assert await scene.refused(name, text) is Code.CREDENTIAL_STATUS_UNKNOWN


async def test_a_presentation_of_one_login_is_good_for_no_other() -> None:
    scene = Scene()
    first, second = scene.begin(), scene.begin()
    text = presented(scene.request(first.same_device))
    await scene.answer(first.same_device, text)
    assert await scene.refused(second.same_device, text) is Code.PRESENTATION_FOREIGN


async def test_an_answer_is_taken_once() -> None:
    scene = Scene()
    name = scene.begin().same_device
    request = scene.request(name)
    body = answer_form(request, presented(request))
    await scene.logins.respond(name, body)
    with pytest.raises(Refused) as caught:
        await scene.logins.respond(name, body)
    assert caught.value.code is Code.NOT_FOUND


async def test_of_two_answers_at_a_time_one_is_taken() -> None:
    scene = Scene()
    begun = scene.begin()
    requests = [scene.request(name) for name in (begun.same_device, begun.other_device)]
    outcomes = await asyncio.gather(
        *(
            scene.logins.respond(name, answer_form(request, presented(request)))
            for name, request in zip((begun.same_device, begun.other_device), requests, strict=True)
        ),
        return_exceptions=True,
    )
    assert [isinstance(one, str) for one in outcomes] == [True, False]


# Answers that cannot be read.

MALFORMED: dict[str, Callable[[Request, Request], bytes]] = {
    "with another state": lambda r, _: answer_form(r, presented(r), state="other"),
    "with no state": lambda r, _: answer_form(r, presented(r), state=""),
    "encrypted to the key of another request": lambda r, other: answer_form(
        r | {"client_metadata": other["client_metadata"]}, presented(r)
    ),
    "encrypted to another key under this one's name": lambda r, other: answer_form(
        r | {"client_metadata": other["client_metadata"]},
        presented(r),
        kid=r["client_metadata"]["jwks"]["keys"][0]["kid"],
    ),
    "compressed": lambda r, _: answer_form(r, presented(r), zip="DEF"),
    "with something critical": lambda r, _: answer_form(r, presented(r), crit=["kid"]),
    "encrypted by key wrapping": lambda r, _: answer_form(r, presented(r), alg="ECDH-ES+A128KW"),
    "encrypted by another cipher": lambda r, _: answer_form(r, presented(r), enc="A128CBC-HS256"),
    "not encrypted": lambda r, _: urlencode(
        {"vp_token": json.dumps({"sd_jwt": [presented(r)]}), "state": r["state"]}
    ).encode(),
    "with a vp_token beside the encrypted one": lambda r, _: (
        answer_form(r, presented(r))
        + b"&"
        + urlencode({"vp_token": json.dumps({"sd_jwt": [presented(r)]})}).encode()
    ),
    "with a field twice": lambda r, _: b"&".join([answer_form(r, presented(r))] * 2),
    "with no form": lambda *_: b"",
    "with a form that is none": lambda *_: b"\xff=%zz",
    "as large as memory": lambda *_: b"response=" + b"A" * 2 * ENCRYPTED_SIZE_MAX_BYTES,
    "without parts": lambda *_: b"response=aaaa",
    "with a header that is no JSON": lambda *_: b"response=aaaa..aaaa.aaaa.aaaa",
    "with two presentations": lambda r, _: answer_form(r, {"sd_jwt": [presented(r), presented(r)]}),
    "with both formats": lambda r, _: answer_form(
        r, {"sd_jwt": [presented(r)], "jwt_vc": [presented(r, "jwt_vc")]}
    ),
    "to a query that was not made": lambda r, _: answer_form(r, {"pid": [presented(r)]}),
    "with a text in place of a list": lambda r, _: answer_form(r, {"sd_jwt": presented(r)}),
    "with nothing": lambda r, _: answer_form(r, {}),
    "with a list": lambda r, _: answer_form(r, [presented(r)]),
    "with an object as presentation": lambda r, _: answer_form(r, {"sd_jwt": [{"a": 1}]}),
    "nested deeply": lambda r, _: urlencode(
        {"response": encrypted(b'{"vp_token":' + b"[" * 50_000, r["client_metadata"]["jwks"]["keys"][0])}
    ).encode(),
    "with a name twice": lambda r, _: urlencode(
        {
            "response": encrypted(
                json.dumps({"state": r["state"]}).encode()[:-1] + b',"state":"x"}',
                r["client_metadata"]["jwks"]["keys"][0],
            )
        }
    ).encode(),
    "with an error beside a presentation": lambda r, _: urlencode(
        {
            "response": encrypted(
                {"state": r["state"], "error": "x", "vp_token": {}},
                r["client_metadata"]["jwks"]["keys"][0],
            )
        }
    ).encode(),
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_an_answer_that_cannot_be_read_is_refused_and_ends_nothing(what: str) -> None:
    scene = Scene()
    begun = scene.begin()
    request, other = scene.request(begun.same_device), scene.request(scene.begin().same_device)
    with pytest.raises(CredentialRefused) as caught:
        await scene.logins.respond(begun.same_device, MALFORMED[what](request, other))
    assert caught.value.code is Code.PRESENTATION_MALFORMED
    code = response_code(await scene.answer(begun.same_device))
    assert scene.logins.return_from_wallet(begun.id, begun.secret, code).principal.name == "Ana Prueba"


async def test_an_answer_to_a_request_that_nobody_fetched_is_refused() -> None:
    scene = Scene()
    fetched = scene.request(scene.begin().same_device)
    body = answer_form(fetched, presented(fetched))
    with pytest.raises(CredentialRefused):
        await scene.logins.respond(scene.begin().same_device, body)


async def test_an_encrypted_answer_is_refused_where_plain_ones_are_demanded() -> None:
    scene = Scene(mode="direct_post")
    name = scene.begin().same_device
    request = scene.request(name)
    body = answer_form(request, presented(request)) + b"&response=x"
    with pytest.raises(CredentialRefused):
        await scene.logins.respond(name, body)


async def test_an_answer_after_the_end_is_refused() -> None:
    scene = Scene()
    name = scene.begin().same_device
    request = scene.request(name)
    body = answer_form(request, presented(request))
    await scene.wait(301)
    with pytest.raises(Refused) as caught:
        await scene.logins.respond(name, body)
    assert caught.value.code is Code.NOT_FOUND


async def test_an_error_of_a_wallet_is_noted_and_ends_nothing() -> None:
    scene = Scene()
    begun = scene.begin()
    state = scene.request(begun.same_device)["state"]
    body = urlencode({"error": "access_denied", "state": state}).encode()
    assert await scene.logins.respond(begun.same_device, body) == ""
    view = scene.logins.view(begun.id, begun.secret)
    assert view is not None
    assert (view.state, view.declined) == (LoginState.FETCHED, "access_denied")


@pytest.mark.parametrize(
    "fields", [{"error": "a\nb"}, {"error": "access_denied", "state": "other"}, {"error": ""}]
)
async def test_an_error_that_is_none_is_refused(fields: dict[str, str]) -> None:
    scene = Scene()
    begun = scene.begin()
    body = urlencode({"state": scene.request(begun.same_device)["state"]} | fields).encode()
    with pytest.raises(CredentialRefused):
        await scene.logins.respond(begun.same_device, body)


# What is logged.


async def test_nothing_secret_and_nothing_about_a_person_is_logged() -> None:
    with capture_logs() as logs:
        scene = Scene()
        secrets = []
        for device in ("same_device", "other_device"):
            begun = scene.begin()
            name = getattr(begun, device)
            request = scene.request(name)
            text = presented(request)
            code = response_code(await scene.logins.respond(name, answer_form(request, text)))
            shown = scene.logins.code(begun.id, code)
            secrets += [begun.id, begun.secret, name, request["nonce"], request["state"], text, code]
            secrets += text.split("~") + [part for part in text.split(".") if len(part) > 8]
            if shown is not None:
                secrets.append(shown.code)
                view = scene.logins.view(begun.id, begun.secret)
                assert view is not None
                secrets.append(view.confirmation)
                scene.logins.confirm(begun.id, begun.secret, view.confirmation, shown.code)
            else:
                scene.logins.return_from_wallet(begun.id, begun.secret, code)
        for what in FORGED:
            begun = scene.begin()
            request = scene.request(begun.same_device)
            text = FORGED[what][0](request)
            secrets += [begun.id, begun.secret, request["nonce"], request["state"], text]
            assert await scene.refused(begun.same_device, text)
    lines = [json.dumps(line, default=str) for line in logs]
    assert len(lines) == 4 + len(FORGED)
    for secret in (*filter(None, secrets), "Ana", "Prueba", "ana@goodair.example"):
        assert not [line for line in lines if secret in line], secret


async def test_the_operator_reads_every_step_of_a_refusal() -> None:
    with capture_logs() as logs:
        scene = Scene()
        await scene.refused(scene.begin().same_device, sd_jwt())
    (line,) = logs
    assert (line["event"], line["code"]) == ("wallet_login_refused", Code.PRESENTATION_UNBOUND)
    assert line["steps"][-1].startswith("presentation-unbound: ")


async def test_a_claim_with_line_breaks_writes_no_line_of_its_own() -> None:
    with capture_logs() as logs:
        scene = Scene()
        name = scene.begin().same_device
        request = scene.request(name)
        forged = "x\n2026-11-30 [info] wallet_login_completed"
        text = bound(sd_jwt(), HOLDER, {"aud": forged, "nonce": request["nonce"]})
        await scene.refused(name, text)
    assert not [step for line in logs for step in line["steps"] if "\n" in step]


async def test_a_ledger_that_does_not_answer_lets_the_wallet_try_again() -> None:
    scene = Scene()
    begun = scene.begin()
    request = scene.request(begun.same_device)
    taken = scene.logins._credentials

    class Away:
        async def presentation(self, *_: Any) -> Any:
            raise Unavailable(Code.UNAVAILABLE, "The ledger does not answer.")

    scene.logins._credentials = Away()  # type: ignore[assignment]
    body = answer_form(request, presented(request))
    with pytest.raises(Unavailable):
        await scene.logins.respond(begun.same_device, body)
    scene.logins._credentials = taken
    assert await scene.logins.respond(begun.same_device, body)


def test_a_verifier_with_another_certificate_is_somebody_else() -> None:
    other = access_certificate()
    assert identity_of("x509_hash", other).client_id != identity_of().client_id
