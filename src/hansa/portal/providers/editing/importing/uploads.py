"""A file arrives by a form (RFC 7578), within bounds of bytes, fields and files."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from hansa.core.errors import Code, Refused
from hansa.core.http import bounded_body

FORM_DATA = "multipart/form-data"
OVERHEAD_MAX_BYTES = 65_536
FIELDS_MAX = 10
FIELD_MAX_BYTES = 4096
NAME_MAX_CHARS = 200


class UploadedForm(msgspec.Struct, frozen=True):
    """A form with one file."""

    fields: dict[str, str]
    name: str
    """Of the file, as the sender calls it."""
    content: bytes


async def uploaded(request: Request, size_max_bytes: int) -> UploadedForm:
    """The form in a request.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE`, `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != FORM_DATA:
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"A file is sent as {FORM_DATA}.")
    too_large = f"A file has {size_max_bytes:,} bytes at most."
    body = await bounded_body(request.stream(), size_max_bytes + OVERHEAD_MAX_BYTES, too_large)

    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(
        request.headers,
        stream(),  # type: ignore[arg-type] # it asks for a generator, and iterates
        max_files=1,
        max_fields=FIELDS_MAX,
        max_part_size=FIELD_MAX_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Refused(Code.MALFORMED, "The form cannot be read.") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused(Code.MALFORMED, "Choose a file.")
        content = await file.read()
        if len(content) > size_max_bytes:
            raise Refused(Code.TOO_LARGE, f"A file has {size_max_bytes:,} bytes at most.")
        fields = {name: text for name, text in form.items() if isinstance(text, str)}
        return UploadedForm(fields, (file.filename or "")[:NAME_MAX_CHARS], content)
    finally:
        await form.close()
