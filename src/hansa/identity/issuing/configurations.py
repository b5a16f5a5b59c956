"""The kinds of credentials that are issued, and what metadata says about them (OpenID4VCI 1.0, section 12.2).

LEARCredentialEmployee, LEARCredentialMachine                     `jwt_vc_json`, as DOME has them
learcredential.employee.sd.1, learcredential.machine.sd.1         `dc+sd-jwt`, by their `vct`
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hansa.identity.credentials.mandate import MandateKind
from hansa.identity.credentials.signing_keys import SIGNING_ALGORITHM
from hansa.identity.issuing.orders import CredentialForm, MandateOrder
from hansa.identity.issuing.rules import IssuingRules
from hansa.identity.provider.tokens.proofs import PROOF_ALGORITHMS

ATTESTATION_ALGORITHMS: Final = ("ES256", "ES384")
PROOFS_MAX: Final = 8
"""Keys for which one request may have credentials."""
SCOPE_PREFIX: Final = "credential:"

_CONTEXTS: Final = {
    "employee": "https://credentials.eudistack.eu/.well-known/credentials/lear_credential_employee/w3c/v3",
    "machine": "https://credentials.eudistack.eu/.well-known/credentials/lear_credential_machine/w3c/v2",
}
_NAMES: Final = {"employee": "Mandate of an employee", "machine": "Mandate of a machine"}
_PERSONAL: Final = {
    "employee": ("employeeId", "email", "firstName", "lastName"),
    "machine": ("serviceName", "domain", "ipAddress"),
}


class CredentialConfiguration(msgspec.Struct, frozen=True):
    """One kind of credential, in one format."""

    id: str
    kind: MandateKind
    form: CredentialForm

    @property
    def type(self) -> str:
        """The type of the W3C credential, or the `vct`."""
        return self.id

    @property
    def context(self) -> str:
        """The JSON-LD context by which versions are told apart."""
        return _CONTEXTS[self.kind]

    @property
    def disclosable(self) -> tuple[str, ...]:
        """Attributes of the mandatee that the holder discloses or withholds, of `dc+sd-jwt`."""
        return _PERSONAL[self.kind]

    def metadata(self, rules: IssuingRules) -> dict[str, Any]:
        """What the issuer's metadata says about it."""
        proof: dict[str, Any] = {"proof_signing_alg_values_supported": [SIGNING_ALGORITHM]}
        proofs = {"jwt": proof}
        if "keys" in rules.attestations:
            proof["key_attestations_required"] = {}
            proofs["attestation"] = proof
        display = [{"name": f"{_NAMES[self.kind]} (for development)", "locale": "en"}]
        common = {
            "format": self.form,
            "scope": f"{SCOPE_PREFIX}{self.id}",
            "credential_signing_alg_values_supported": [SIGNING_ALGORITHM],
            "proof_types_supported": proofs,
        }
        if self.form == "dc+sd-jwt":
            claims = [{"path": ["mandate", "mandator"]}, {"path": ["mandate", "power"]}]
            claims += [{"path": ["mandate", "mandatee", name]} for name in self.disclosable]
            return common | {
                "vct": self.type,
                "cryptographic_binding_methods_supported": ["jwk"],
                "credential_metadata": {"display": display, "claims": claims},
            }
        return common | {
            "credential_definition": {"type": ["VerifiableCredential", self.type]},
            "cryptographic_binding_methods_supported": ["jwk", "did:key"],
            "credential_metadata": {
                "display": display,
                "claims": [{"path": ["credentialSubject", "mandate"]}],
            },
        }


CONFIGURATIONS: Final = {
    one.id: one
    for one in (
        CredentialConfiguration("learcredential.employee.sd.1", "employee", "dc+sd-jwt"),
        CredentialConfiguration("LEARCredentialEmployee", "employee", "jwt_vc_json"),
        CredentialConfiguration("learcredential.machine.sd.1", "machine", "dc+sd-jwt"),
        CredentialConfiguration("LEARCredentialMachine", "machine", "jwt_vc_json"),
    )
}


def configurations_of(order: MandateOrder, rules: IssuingRules) -> tuple[CredentialConfiguration, ...]:
    """Those in which an order may be had here, in the order in which it names the formats."""
    return tuple(
        next(one for one in CONFIGURATIONS.values() if one.kind == order.kind and one.form == form)
        for form in order.forms
        if form in rules.forms
    )


def issuer_metadata(endpoint: str, name: str, rules: IssuingRules) -> dict[str, Any]:
    """`/.well-known/openid-credential-issuer`.

    Args:
        endpoint: Of the marketplace, which is the identifier of the issuer.
        name: Of the marketplace.
        rules: By which it issues.
    """
    offered = [one for one in CONFIGURATIONS.values() if one.form in rules.forms]
    return {
        "credential_issuer": endpoint,
        "authorization_servers": [authorization_server(endpoint)],
        "credential_endpoint": f"{endpoint}/oid4vci/credential",
        "nonce_endpoint": f"{endpoint}/oid4vci/nonce",
        "batch_credential_issuance": {"batch_size": PROOFS_MAX},
        "display": [{"name": f"{name} (for development)", "locale": "en"}],
        "credential_configurations_supported": {one.id: one.metadata(rules) for one in offered},
    }


def authorization_server(endpoint: str) -> str:
    """The identifier of the issuer's authorization server; it is beside the marketplace's OpenID Provider."""
    return f"{endpoint}/oid4vci"


def authorization_server_metadata(endpoint: str, rules: IssuingRules) -> dict[str, Any]:
    """`/.well-known/oauth-authorization-server/oid4vci` (RFC 8414)."""
    is_attested = "wallets" in rules.attestations
    algorithms = list(ATTESTATION_ALGORITHMS)
    of_clients: dict[str, Any] = {"token_endpoint_auth_methods_supported": ["none"]}
    if is_attested:
        of_clients = {
            "token_endpoint_auth_methods_supported": ["attest_jwt_client_auth"],
            "client_attestation_signing_alg_values_supported": algorithms,
            "client_attestation_pop_signing_alg_values_supported": algorithms,
        }
    return of_clients | {
        "issuer": authorization_server(endpoint),
        "token_endpoint": f"{endpoint}/oid4vci/token",
        "authorization_endpoint": f"{endpoint}/oid4vci/authorize",
        "pushed_authorization_request_endpoint": f"{endpoint}/oid4vci/par",
        "require_pushed_authorization_requests": True,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": ["openid_credential"],
        "grant_types_supported": [PRE_AUTHORIZED_CODE, AUTHORIZATION_CODE],
        "pre-authorized_grant_anonymous_access_supported": not is_attested,
        "response_types_supported": ["code"],
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
    }


AUTHORIZATION_CODE: Final = "authorization_code"
PRE_AUTHORIZED_CODE: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
