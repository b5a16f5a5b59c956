"""Parameters of requests, as forms and query strings have them: each once, within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hansa.core.errors import Refused
from hansa.core.forms import unique_fields
from hansa.identity.provider.oauth_errors import invalid_request

PARAMETERS_MAX: Final = 64
VALUE_MAX_CHARS: Final = 131_072
FORM_SIZE_MAX_BYTES: Final = 196_608

_NAME: Final = re.compile("[A-Za-z0-9_.:-]{1,64}", re.ASCII)

Parameters = Mapping[str, str]


def read_parameters(text: bytes) -> Parameters:
    """The parameters of a form; those without a value are as good as absent (RFC 6749, section 3.1).

    Names that no parameter has are left out: what is not known is ignored.

    Raises:
        OAuthRefused: `invalid_request`, when one comes twice, or it is no form.
    """
    try:
        fields = unique_fields(text, PARAMETERS_MAX, is_strict=bool(text))
    except Refused as error:
        raise invalid_request(f"The request {error.message}.") from error
    return {name: value for name, value in fields.items() if value and _NAME.fullmatch(name)}
