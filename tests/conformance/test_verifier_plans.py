"""The verifier against a wallet that does what that of the OpenID conformance suite does, module by module.

The plans `oid4vp-1final-verifier` and `-haip` have a wallet of their own, which holds a PID
(`urn:eudi:pid:1`) or a driving licence. It checks the request, presents what is asked for, altered as the
module wants it, and looks at the status of the answer. This is a wallet of ours after the descriptions of its
modules; it is no run of the suite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from hansa.core.base64url import from_base64url
from hansa.core.policies import ClientIdPrefix, ResponseMode
from tests.support.asgi import Response
from tests.support.credentials import DAY_S, HOLDER, NOW_S, Verifying, b64, bound, decoded, token_list
from tests.support.identity_documents import JEAN, LICENCE, PID_MDOC, PID_TYPE, identity_mdoc, pid
from tests.support.mdocs import identifier_cwt, status_cwt
from tests.support.wallets import Scene, answer_form, identity_of, request_claims
from tests.unit.api.test_wallets import FORM, JSON, Site, request_path

SUITE: Final = "https://suite.example/test/a/hansa"
LIST: Final = f"{SUITE}/statuslists/k2Vb"
REVOKED: Final = b"\x05" * 16
YEAR_S: Final = 365 * DAY_S
TYPES: Final = {"sd_jwt_vc": PID_TYPE, "iso_mdl": f"mso_mdoc:{LICENCE}", "iso_pid": f"mso_mdoc:{PID_MDOC}"}
ALGORITHMS: Final = {
    "dc+sd-jwt": ("sd-jwt_alg_values", "kb-jwt_alg_values"),
    "mso_mdoc": ("issuerauth_alg_values", "deviceauth_alg_values"),
}


class Variant(msgspec.Struct, frozen=True):
    """Of a plan."""

    format: str
    prefix: ClientIdPrefix
    mode: ResponseMode

    def __str__(self) -> str:
        return f"{self.format}-{self.prefix}-{self.mode}"


PREFIXES: Final[tuple[ClientIdPrefix, ...]] = ("x509_hash", "x509_san_dns")
MODES: Final[tuple[ResponseMode, ...]] = ("direct_post.jwt", "direct_post")
VARIANTS: Final = [Variant(one, prefix, mode) for one in TYPES for prefix in PREFIXES for mode in MODES]
SD_JWT: Final = [one for one in VARIANTS if one.format == "sd_jwt_vc"]
MDOC: Final = [one for one in VARIANTS if one.format != "sd_jwt_vc"]


class SuiteWallet:
    """The wallet, and the marketplace to which it presents something.

    Args:
        variant: Of the plan.
        pages: What the suite serves, by address; else a list that revokes nobody.
    """

    def __init__(self, variant: Variant, pages: Mapping[str, str | bytes] | None = None) -> None:
        self.variant = variant
        listed = (
            token_list({}, changes={"sub": LIST, "iss": None}) if self.is_sd_jwt else status_cwt([], c2=LIST)
        )
        self.verifying = Verifying(pages=pages or {LIST: listed})
        self.site = Site(
            Scene(
                self.verifying,
                identity_of(variant.prefix),
                accepted=(),
                identities=(TYPES[variant.format],),
                mode=variant.mode,
            )
        )

    @property
    def is_sd_jwt(self) -> bool:
        return self.variant.format == "sd_jwt_vc"

    async def request(self, *, is_posted: bool = False) -> dict[str, Any]:
        """The claims of a request, which is as every module wants it."""
        told, _ = await self.site.begin()
        link = parse_qs(urlsplit(told["wallet_url"]).query)
        assert set(link) == {"client_id", "request_uri", "request_uri_method"}
        (address,) = link["request_uri"]
        assert address.startswith("https://")
        assert "#" not in address
        path = request_path(told["wallet_url"])
        if is_posted:
            assert link["request_uri_method"] == ["post"]
            headers = {**FORM, "accept": "application/oauth-authz-req+jwt"}
            answer = await self.site.client.post(path, body=b"wallet_nonce=w-1", headers=headers)
        else:
            answer = await self.site.client.get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/oauth-authz-req+jwt")
        text = answer.body.decode()
        claims = request_claims(text)
        self.check(text, claims)
        assert [claims["client_id"]] == link["client_id"]
        assert claims.get("wallet_nonce") == ("w-1" if is_posted else None)
        return claims

    def check(self, text: str, claims: Mapping[str, Any]) -> None:
        """What the suite checks of each request."""
        assert decoded(text.split(".", maxsplit=1)[0])["typ"] == "oauth-authz-req+jwt"
        prefix, _, name = claims["client_id"].partition(":")
        assert prefix == self.variant.prefix
        assert name == "market.example" or len(from_base64url(name)) == 32
        assert (claims["response_type"], claims["response_mode"]) == ("vp_token", self.variant.mode)
        assert (claims["iss"], claims["aud"]) == (claims["client_id"], "https://self-issued.me/v2")
        assert claims["iat"] <= NOW_S < claims["exp"]
        assert claims["response_uri"].startswith("https://")
        others = {"scope", "redirect_uri", "presentation_definition", "transaction_data", "client_id_scheme"}
        assert not others & claims.keys()
        assert 16 <= len(claims["nonce"]) <= 43
        (query,) = claims["dcql_query"]["credentials"]
        assert query["format"] == ("dc+sd-jwt" if self.is_sd_jwt else "mso_mdoc")
        metadata = claims["client_metadata"]
        formats = metadata["vp_formats_supported"]
        assert all(formats[query["format"]][one] for one in ALGORITHMS[query["format"]])
        if self.variant.mode == "direct_post.jwt":
            (key,) = metadata["jwks"]["keys"]
            assert (key["crv"], key["alg"], key["use"]) == ("P-256", "ECDH-ES", "enc")
            assert key["kid"]
            assert {"A128GCM", "A256GCM"} <= set(metadata["encrypted_response_enc_values_supported"])

    def presentation(self, request: Mapping[str, Any], **changes: Any) -> str:
        """What the suite presents, altered in some way."""
        if self.is_sd_jwt:
            reference = {"status": {"status_list": {"idx": 8, "uri": LIST}}}
            return pid(request, iss=SUITE, **reference | changes)
        doctype = TYPES[self.variant.format].partition(":")[2]
        return identity_mdoc(
            request, doctype, JEAN, **{"status": {"status_list": {"idx": 8, "uri": LIST}}} | changes
        )

    async def answer(self, request: Mapping[str, Any], text: str) -> Response:
        """What the response endpoint says to a presentation."""
        (query,) = request["dcql_query"]["credentials"]
        apu, apv = b64("generated nonce"), b64(request["nonce"])
        body = answer_form(request, {query["id"]: [text]}, apu=apu, apv=apv, cty="json")
        path = urlsplit(request["response_uri"]).path
        return await self.site.client.post(path, body=body, headers=FORM)

    async def presented(self, **changes: Any) -> Response:
        """What it says to what the suite presents."""
        request = await self.request()
        return await self.answer(request, self.presentation(request, **changes))


def check_accepted(answer: Response) -> None:
    """A good answer, and the way back that HAIP demands."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json()) == {"redirect_uri"}


def check_refused(answer: Response, reason: str) -> None:
    """One of 4xx, for the reason that the module is about."""
    assert 400 <= answer.status < 500
    assert reason in answer.json()["error_description"]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_the_happy_flow_is_answered_with_the_way_back(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    check_accepted(await wallet.presented())
    assert wallet.verifying.web.requests == [LIST]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_the_happy_flow_leads_back_to_the_browser_that_began(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    told, cookie = await wallet.site.begin()
    request = request_claims((await wallet.site.client.get(request_path(told["wallet_url"]))).body.decode())
    answer = await wallet.answer(request, wallet.presentation(request))
    back = urlsplit(answer.json()["redirect_uri"])
    headers = {**JSON, "cookie": cookie}
    done = await wallet.site.client.get(f"{back.path}?{back.query}", headers=headers)
    assert (done.status, done.json()["state"]) == (200, "completed")
    assert [(one.kind, one.name) for one, _, _ in wallet.site.begun] == [("person", "Jean Dupont")]


@pytest.mark.parametrize("variant", SD_JWT, ids=str)
async def test_a_minimal_cnf_jwk_is_enough(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    request = await wallet.request()
    text = wallet.presentation(request)
    assert set(decoded(text.split(".")[1])["cnf"]["jwk"]) == {"kty", "crv", "x", "y"}
    check_accepted(await wallet.answer(request, text))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_a_request_is_fetched_by_post_with_a_nonce(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    request = await wallet.request(is_posted=True)
    check_accepted(await wallet.answer(request, wallet.presentation(request)))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_a_request_may_be_fetched_twice(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    told, _ = await wallet.site.begin()
    path = request_path(told["wallet_url"])
    first, second = [await wallet.site.client.get(path) for _ in range(2)]
    assert (first.status, second.status) == (200, 200)
    request = request_claims(second.body.decode())
    check_accepted(await wallet.answer(request, wallet.presentation(request)))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_encryption_keys_are_not_used_again(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    first, second = [(await wallet.request())["client_metadata"] for _ in range(2)]
    assert "jwks" not in first or first["jwks"] != second["jwks"]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_a_credential_without_status_is_accepted(variant: Variant) -> None:
    check_accepted(await SuiteWallet(variant).presented(status=None))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_a_revoked_credential_is_refused(variant: Variant) -> None:
    revoking = token_list({8: 1}, changes={"sub": LIST, "iss": None})
    page = revoking if variant in SD_JWT else status_cwt([8], c2=LIST)
    wallet = SuiteWallet(variant, {LIST: page})
    check_refused(await wallet.presented(), "revoked by its issuer")
    assert wallet.verifying.web.requests == [LIST]


@pytest.mark.parametrize("variant", MDOC, ids=str)
async def test_a_credential_on_an_identifier_list_is_refused(variant: Variant) -> None:
    wallet = SuiteWallet(variant, {LIST: identifier_cwt([b"\x01" * 16, REVOKED], c2=LIST)})
    status = {"identifier_list": {"id": REVOKED, "uri": LIST}}
    check_refused(await wallet.presented(status=status), "revoked by its issuer")
    assert wallet.verifying.web.requests == [LIST]


@pytest.mark.parametrize("variant", MDOC, ids=str)
async def test_another_session_transcript_is_refused(variant: Variant) -> None:
    wallet = SuiteWallet(variant)
    request = await wallet.request()
    text = wallet.presentation(request, nonce=f"{request['nonce']}INVALID")
    check_refused(await wallet.answer(request, text), "not presented by the one")


@pytest.mark.parametrize("variant", MDOC, ids=str)
async def test_a_device_that_authenticates_itself_by_a_mac_is_refused(variant: Variant) -> None:
    check_refused(await SuiteWallet(variant).presented(auth="deviceMac"), "not presented by the one")


@pytest.mark.parametrize("variant", SD_JWT, ids=str)
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("invalid-kb-jwt-signature", "not presented by the one"),
        ("invalid-credential-signature", "changed after it was issued"),
        ("invalid-sd-hash", "not presented by the one"),
        ("invalid-kb-jwt-nonce", "presented to somebody else"),
        ("invalid-kb-jwt-aud", "presented to somebody else"),
        ("kb-jwt-iat-in-past", "too long ago"),
        ("kb-jwt-iat-in-future", "too long ago"),
    ],
)
async def test_what_is_altered_is_refused(variant: Variant, module: str, reason: str) -> None:
    wallet = SuiteWallet(variant)
    request = await wallet.request()
    bindings: dict[str, dict[str, Any]] = {
        "invalid-sd-hash": {"sd_hash": b64(b"\x00" * 32)},
        "invalid-kb-jwt-nonce": {"nonce": f"{request['nonce']}INVALID"},
        "invalid-kb-jwt-aud": {"aud": "https://other.example"},
        "kb-jwt-iat-in-past": {"iat": NOW_S - YEAR_S},
        "kb-jwt-iat-in-future": {"iat": NOW_S + YEAR_S},
    }
    text = wallet.presentation(request, bindings=bindings.get(module))
    if module == "invalid-kb-jwt-signature":
        text = altered(text)
    if module == "invalid-credential-signature":
        first, rest = text.split("~", 1)
        shown = rest[: rest.rindex("~") + 1]
        target = {"aud": request["client_id"], "nonce": request["nonce"]}
        text = bound(f"{altered(first)}~{shown}", HOLDER, target)
    check_refused(await wallet.answer(request, text), reason)


def altered(text: str) -> str:
    """A text whose last signature has another byte in it."""
    head, _, signature = text.rpartition(".")
    raw = bytearray(from_base64url(signature))
    raw[5] ^= 0x5A
    return f"{head}.{b64(bytes(raw))}"
