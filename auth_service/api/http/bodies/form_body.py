"""Form bodies of the OAuth endpoints: `application/x-www-form-urlencoded`, each parameter at most once."""

from collections import Counter
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.requests import Request

from auth_service.api.http.bodies.media_type import require_type
from auth_service.api.http.problems import InvalidRequest
from auth_service.api.http.problems.field_errors import is_speakable

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 20

# For FastAPI's document: the parameters are read here, not by the framework.
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {FORM: {"schema": {"$ref": "#/components/schemas/TokenForm"}}}}
}
TOKEN_FORM: dict[str, Any] = {
    "type": "object",
    "description": "Other parameters are ignored.",
    "required": ["token"],
    "maxProperties": MAX_FIELDS,
    "properties": {
        "token": {"type": "string", "minLength": 1},
        "token_type_hint": {
            "type": "string",
            "description": "access_token or refresh_token; optional; any other value is ignored",
        },
    },
}


async def get_token(request: Request) -> str:
    """The parameter `token` of the form (RFC 7009, section 2.1; RFC 7662, section 2.1).

    Raises:
        UnsupportedMediaType: the body is no form in UTF-8, or it is compressed.
        InvalidRequest: no token, or a parameter twice (RFC 6749, section 3.2); unknown ones are ignored.
    """
    require_type(request.headers, FORM)
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise InvalidRequest("The form is not UTF-8.") from None
    except ValueError:
        raise InvalidRequest(f"The form may have at most {MAX_FIELDS} parameters.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidRequest(f"{f'The parameter {twice}' if is_speakable(twice) else 'A parameter'} is given twice.")
    if not fields.get("token"):
        raise InvalidRequest("The form needs the parameter token, which must not be empty.")
    return fields["token"]


TokenParameter = Annotated[str, Depends(get_token)]
