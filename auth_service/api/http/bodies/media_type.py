"""What a request says that its body is: a media type with its parameters, and codings."""

import re

from starlette.datastructures import Headers

from auth_service.api.http.problems import UnsupportedContentCoding, UnsupportedMediaType

# Nothing is tried twice (`++`, `*+`): a header of 16 KiB could else be read in more ways than there is time for.
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_BLANKS = r"[ \t]*+"
_VALUE = rf'{_NAME}|"(?:[^"\\]|\\.)*+"'
_PARAMETER = re.compile(rf"{_BLANKS};{_BLANKS}(?:({_NAME}){_BLANKS}={_BLANKS}({_VALUE}))?+")
_MEDIA_TYPE = re.compile(rf"({_NAME}/{_NAME})((?:{_PARAMETER.pattern})*+)")
_UTF_8 = {"utf-8", "utf8"}  # the second has no name at IANA, and is what many send
_IDENTITY = {"", "identity"}


def require_type(headers: Headers, wanted: str) -> None:
    """Demand a body of this media type, in UTF-8 and as it is: parameters but `charset` say nothing here.

    Takes the parameters of RFC 9110, section 5.6.6, and blanks around their `=`, as RFC 2045 does.

    Raises:
        UnsupportedContentCoding: the body is compressed, or says so.
        UnsupportedMediaType: it is something else, or in another charset; or nothing can be made of what it says.
    """
    if not _is_identity(headers):
        raise UnsupportedContentCoding
    values = headers.getlist("content-type")
    if len(values) != 1:
        raise UnsupportedMediaType(f"Send exactly one header Content-Type: {wanted}.")
    found = _MEDIA_TYPE.fullmatch(values[0].strip(" \t"))
    if found is None:
        raise UnsupportedMediaType(f"The header Content-Type cannot be read; it must be {wanted}.")
    media_type, parameters = found[1], found[2]
    if media_type.casefold() != wanted:
        raise UnsupportedMediaType(f"The body must be {wanted}.")
    if not all(_is_utf_8(value) for name, value in _PARAMETER.findall(parameters) if name.casefold() == "charset"):
        raise UnsupportedMediaType("The charset of the body must be UTF-8.")


def _is_identity(headers: Headers) -> bool:
    """Whether nothing is to be decoded, whatever the bytes look like (RFC 9110, section 8.4)."""
    codings = ",".join(headers.getlist("content-encoding")).split(",")
    return all(coding.strip(" \t").casefold() in _IDENTITY for coding in codings)


def _is_utf_8(value: str) -> bool:
    text = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return text.casefold() in _UTF_8
