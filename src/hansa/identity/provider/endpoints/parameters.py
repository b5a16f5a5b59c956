"""Parameters of requests, as forms and query strings have them: each once, within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from hansa.identity.provider.oauth_errors import invalid_request

PARAMETERS_MAX: Final = 64
VALUE_MAX_CHARS: Final = 131_072
FORM_SIZE_MAX_BYTES: Final = 196_608

_NAME: Final = re.compile("[A-Za-z0-9_.:-]{1,64}", re.ASCII)

Parameters = Mapping[str, str]


def read_parameters(text: bytes) -> Parameters:
    """The parameters of a form; those without a value are as good as absent (RFC 6749, section 3.1).

    Raises:
        OAuthRefused: `invalid_request`, when one comes twice, or it is no form.
    """
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(text),
            encoding="utf-8",
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise invalid_request("The request is no form, or has too many parameters.") from error
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names) or not all(map(_NAME.fullmatch, names)):
        raise invalid_request("A parameter comes twice, or has an unusable name.")
    return {name: value for name, value in pairs if value}
