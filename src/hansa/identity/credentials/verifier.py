"""Verifies credentials and presentations: what is in them holds, or there is one refusal that says why.

    1  the form            the whole presentation is read, within bounds; nothing is looked up for it
    2  for whom            audience and nonce are those of this verifier and of this request
    3  the issuer          who signed the credential, and whether that one is trusted for its types and claims
    4  the times           of the credential and of the mandate in it
    5  the holder          the presentation is signed by the one to whom the credential was issued
    6  the status          the issuer's list says that it is neither revoked nor suspended
    7  once                the presentation was not accepted before

A step costs more than the one before: what anybody can make is refused before anything is fetched, and
nothing is fetched from an address that no trusted issuer has signed. Clocks may be five minutes apart
(`hansa.identity.credentials.times`).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, HansaError, Refused
from hansa.identity.credentials.formats.device_response import (
    SessionTerms,
    check_device,
    is_device_response,
    read_device_response,
)
from hansa.identity.credentials.formats.document import (
    CredentialDocument,
    HolderBinding,
    read_claims,
    read_jws,
)
from hansa.identity.credentials.formats.jwt_vc import (
    JWT_VC_FORMAT,
    JwtPresentation,
    check_presentation_claims,
    is_presentation,
    read_jwt_presentation,
    read_jwt_vc,
)
from hansa.identity.credentials.formats.mdoc import MDOC_FORMAT, read_mdoc
from hansa.identity.credentials.formats.sd_jwt import SD_JWT_FORMAT, check_key_binding, read_sd_jwt
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.credentials.issuers.trust import IssuerTrust, ProvedIssuer
from hansa.identity.credentials.mandate import Mandate, mandate_kind, read_mandate
from hansa.identity.credentials.refusals import CredentialRefused, Steps, malformed, refused_after
from hansa.identity.credentials.replay import PresentationMemory
from hansa.identity.credentials.status.lists import StatusLists
from hansa.identity.credentials.status.references import HeldStatus
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, Validity
from hansa.identity.foreign_jws import is_signed_by

PRESENTATION_AGE_MAX_S: Final = 300
"""How long ago a presentation may have been signed; longer than any request for one is good."""

CredentialFormat = Literal["dc+sd-jwt", "jwt_vc_json", "mso_mdoc"]


class PresentationRequest(msgspec.Struct, frozen=True):
    """What a presentation has to be made for."""

    audience: str
    """Of this verifier: its client identifier, with its prefix."""
    nonce: str | None
    """Of the request; None: there was none, as a machine presents its credential with what it asks for."""
    session: SessionTerms | None = None
    """What else the device with an mdoc signs about the request; None: no mdoc can be presented to it."""


class VerifiedCredential(msgspec.Struct, frozen=True):
    """A credential that holds."""

    format: CredentialFormat
    types: tuple[str, ...]
    id: str
    """Empty when it has none."""
    issuer: ProvedIssuer
    claims: bytes
    """All claims, with those that were disclosed; JSON."""
    mandate: Mandate | None
    """Of LEAR credentials."""
    begin_s: int | None
    """First second at which it is valid, since 1970; None: it names none."""
    end_s: int | None
    """Last second."""
    status: HeldStatus | None
    """Where its issuer publishes a status, which was good; None: nowhere."""
    is_presented: bool
    """Whether its holder presented it, for the request."""
    steps: tuple[str, ...]
    """What was checked, for the operator."""
    holder_did: str = ""
    """DID of the one to whom it was issued, whose keys count; empty when it names the key itself."""


class CredentialVerifier:
    """Verifies credentials and presentations. To be used on one event loop.

    Args:
        trust: Whom to believe.
        dids: Resolves the DIDs of holders.
        status: Lists of revoked credentials.
        memory: Of the presentations that were accepted.
        clock: For all times.
        age_max_s: How long ago a presentation may have been signed.
    """

    def __init__(
        self,
        trust: IssuerTrust,
        dids: DidKeys,
        status: StatusLists,
        memory: PresentationMemory,
        clock: Clock,
        age_max_s: int = PRESENTATION_AGE_MAX_S,
    ) -> None:
        self._trust = trust
        self._dids = dids
        self._status = status
        self._memory = memory
        self._clock = clock
        self._age_max_s = age_max_s

    async def credential(self, text: str, format: CredentialFormat) -> VerifiedCredential:
        """A credential that somebody holds, without any proof of who presents it.

        Raises:
            CredentialRefused: When anything about it does not hold; also for a presentation.
            Unavailable: When the registry of trusted issuers cannot be asked.
        """
        steps, now_s = Steps(), epoch_s(self._clock)
        try:
            document = _bare_credential(text, format)
            return await self._result(format, document, now_s, steps)
        except Refused as error:
            raise refused_after(steps, error) from error

    async def presentation(
        self, text: str, format: CredentialFormat, request: PresentationRequest
    ) -> VerifiedCredential:
        """The credential of a presentation that was made for a request, now, by its holder.

        Raises:
            CredentialRefused: When anything about it does not hold.
            Unavailable: When the registry of trusted issuers cannot be asked, or too many are presented.
        """
        steps, now_s = Steps(), epoch_s(self._clock)
        try:
            if format == SD_JWT_FORMAT:
                return await self._sd_jwt_presentation(text, request, now_s, steps)
            if format == MDOC_FORMAT:
                return await self._mdoc_presentation(text, request, now_s, steps)
            return await self._jwt_presentation(text, request, now_s, steps)
        except Refused as error:
            raise refused_after(steps, error) from error

    async def check_status(self, status: HeldStatus) -> None:
        """Check that a credential which was accepted earlier has not been revoked or suspended since.

        Raises:
            CredentialRefused: When it has been, or it cannot be told (`Code.CREDENTIAL_STATUS_UNKNOWN`).
            Unavailable: When the registry of trusted issuers cannot be asked.
        """
        steps = Steps()
        try:
            await self._status.check_again(status, epoch_s(self._clock), steps)
        except Refused as error:
            raise refused_after(steps, error) from error

    async def _sd_jwt_presentation(
        self, text: str, request: PresentationRequest, now_s: int, steps: Steps
    ) -> VerifiedCredential:
        document, binding = read_sd_jwt(text)
        audience, nonce = check_key_binding(binding, document.holder, now_s, self._age_max_s)
        assert binding is not None, "it was checked"
        steps.note("the key in `cnf` signed the presentation and all that is disclosed")
        _check_request(audience, nonce, request)
        return await self._result(SD_JWT_FORMAT, document, now_s, steps, signed=binding.jws.signing_input)

    async def _mdoc_presentation(
        self, text: str, request: PresentationRequest, now_s: int, steps: Steps
    ) -> VerifiedCredential:
        presentation = read_device_response(text)
        if request.nonce is None or request.session is None:
            raise Refused(Code.PRESENTATION_FOREIGN, "an mdoc is presented to a request, and there is none")
        signed = check_device(presentation, request.audience, request.nonce, request.session)
        steps.note("the key in the security object signed the presentation for this request")
        return await self._result(MDOC_FORMAT, presentation.document, now_s, steps, signed=signed)

    async def _jwt_presentation(
        self, text: str, request: PresentationRequest, now_s: int, steps: Steps
    ) -> VerifiedCredential:
        presentation = read_jwt_presentation(text)
        audience, nonce = check_presentation_claims(presentation.claims, now_s, self._age_max_s)
        _check_request(audience, nonce, request)
        return await self._result(
            *(JWT_VC_FORMAT, presentation.credential, now_s, steps),
            signed=presentation.jws.signing_input,
            presentation=presentation,
        )

    async def _result(
        self,
        format: CredentialFormat,
        document: CredentialDocument,
        now_s: int,
        steps: Steps,
        *,
        signed: bytes | None = None,
        presentation: JwtPresentation | None = None,
    ) -> VerifiedCredential:
        """A credential that holds; and the presentation, when there is one.

        Args:
            format: Of the credential.
            document: What it says.
            now_s: Seconds since 1970.
            steps: What was checked before.
            signed: What the holder signed to present it; None: it is not presented.
            presentation: Whose signature is still to be checked.
        """
        issuer, mandate, validity = await self._verified(document, now_s, steps)
        if presentation is not None:
            await self._check_holder(presentation, document.holder, now_s, steps)
        status = await self._status.check(document.status, issuer, now_s, steps, document.status_form)
        if signed is not None:
            self._memory.use(signed, now_s, now_s + self._age_max_s + 2 * CLOCK_LEEWAY_S + 1)
        return VerifiedCredential(
            format=format,
            types=document.types,
            id=document.id,
            issuer=issuer,
            claims=msgspec.json.encode(document.claims),
            mandate=mandate,
            begin_s=validity.begin_s,
            end_s=validity.end_s,
            status=status,
            is_presented=signed is not None,
            steps=steps.noted,
            holder_did=document.holder.did,
        )

    async def _verified(
        self, document: CredentialDocument, now_s: int, steps: Steps
    ) -> tuple[ProvedIssuer, Mandate | None, Validity]:
        """Issuer, mandate and validity of a credential: all but its status and its holder."""
        steps.note(
            f"a credential of {', '.join(document.types)} that names {document.issuer or 'nobody'} as its issuer"
        )
        kind = mandate_kind(document.types)
        mandate = None if kind is None else read_mandate(kind, document.subject)
        issuer = await self._trust.signer(
            document.jws, document.issuer, now_s, steps, document.signer_purposes
        )
        mandator = None if mandate is None else mandate.organization.identifier
        await self._trust.check_may_issue(issuer, document.types, document.subject, mandator, now_s, steps)
        validity = document.validity
        if mandate is not None:
            validity = Validity((validity.begin_s, mandate.begin_s), (validity.end_s, mandate.end_s))
        validity.check(now_s)
        steps.note(f"valid from {validity.begin_s} until {validity.end_s}, and it is {now_s}")
        return issuer, mandate, validity

    async def _check_holder(
        self, presentation: JwtPresentation, holder: HolderBinding, now_s: int, steps: Steps
    ) -> None:
        """Check that the one to whom the credential was issued signed the presentation."""
        if holder.key is None and holder.did != presentation.holder:
            raise Refused(
                Code.PRESENTATION_UNBOUND,
                f"{presentation.holder} presents a credential of {holder.did or 'nobody'}",
            )
        key = holder.key
        if key is None:
            try:
                key = await self._dids.key(holder.did, presentation.jws.kid, "authentication", now_s)
            except HansaError as error:
                raise Refused(Code.PRESENTATION_UNBOUND, error.message) from error
        if not is_signed_by(presentation.jws, key):
            raise Refused(
                Code.PRESENTATION_UNBOUND, f"the key of {presentation.holder} did not sign the presentation"
            )
        steps.note(f"{presentation.holder} signed the presentation")


def format_of(text: str) -> tuple[CredentialFormat, bool]:
    """The format that a text is in, and whether it is a presentation.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    if "~" in text:
        return SD_JWT_FORMAT, not text.endswith("~")
    if "." not in text:
        return MDOC_FORMAT, is_device_response(text)
    return JWT_VC_FORMAT, is_presentation(read_claims(read_jws(text).payload))


def check_power(credential: VerifiedCredential, domain: str, function: str, action: str) -> None:
    """Check that a credential gives the power for an action.

    Raises:
        CredentialRefused: `Code.POWER_MISSING`.
    """
    if credential.mandate is None or not credential.mandate.covers(domain, function, action):
        wanting = f"{Code.POWER_MISSING}: no power {domain}/{function}/{action}"
        raise CredentialRefused(Code.POWER_MISSING, (*credential.steps, wanting))


def _bare_credential(text: str, format: CredentialFormat) -> CredentialDocument:
    if format == JWT_VC_FORMAT:
        return read_jwt_vc(text)
    if format == MDOC_FORMAT:
        return read_mdoc(text)
    document, binding = read_sd_jwt(text)
    if binding is not None:
        raise malformed("it is a presentation: it has a key binding JWT, which is for some verifier")
    return document


def _check_request(audience: object, nonce: object, request: PresentationRequest) -> None:
    """Check for whom a presentation was made: for this verifier alone, and for this request."""
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    assert request.audience, "a request is for somebody"
    assert request.nonce != "", "a request names itself"
    if audience != request.audience:
        raise Refused(
            Code.PRESENTATION_FOREIGN, f"it is for {audience!r}, and this verifier is {request.audience!r}"
        )
    if request.nonce is not None and nonce != request.nonce:
        raise Refused(Code.PRESENTATION_FOREIGN, "its nonce is not that of the request")
