"""What requests for credentials name, and what token responses say of it (OpenID4VCI 1.0, 6.2 and 8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.identity.issuing.configurations import CONFIGURATIONS, CredentialConfiguration
from hansa.identity.issuing.refusals import IssuingRefused


def requested_configuration(request: Mapping[str, Any]) -> CredentialConfiguration:
    """The configuration that a request names, by its own identifier or by that of its one credential.

    Raises:
        IssuingRefused: `invalid_credential_request`, `invalid_encryption_parameters`, or as `not_offered`.
    """
    named = [one for one in ("credential_configuration_id", "credential_identifier") if one in request]
    name = request[named[0]] if len(named) == 1 else None
    if not isinstance(name, str):
        raise IssuingRefused(
            "invalid_credential_request",
            "A request names one `credential_configuration_id`, or one `credential_identifier`.",
        )
    if "credential_response_encryption" in request:
        raise IssuingRefused("invalid_encryption_parameters", "Answers are not encrypted here.")
    configuration = CONFIGURATIONS.get(name)
    if configuration is None:
        raise not_offered(request)
    return configuration


def not_offered(request: Mapping[str, Any]) -> IssuingRefused:
    """The refusal of what a request names (OpenID4VCI 1.0, section 8.3.1.2)."""
    if "credential_identifier" in request:
        return IssuingRefused("unknown_credential_identifier", "No credential of this identifier is there.")
    return IssuingRefused("unknown_credential_configuration", "This credential is none that was offered.")


def authorized_detail(configuration: str) -> dict[str, Any]:
    """What a token response says of a configuration that was asked for by name (section 6.2).

    An offer has one credential of each, whose identifier is that of the configuration.
    """
    return {
        "type": "openid_credential",
        "credential_configuration_id": configuration,
        "credential_identifiers": [configuration],
    }
