"""The headers that every answer must carry, whoever made it: the app, the framework or the server under both."""

from collections.abc import Mapping

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
REQUIRED = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
TELLTALE = ("server", "x-powered-by", "via")


def assert_security_headers(headers: Mapping[str, str], policy: str = API_POLICY) -> None:
    """Fail unless an answer has each header of OWASP ASVS 5.0, section 3.4, and none that names the software."""
    assert {name: headers.get(name) for name in REQUIRED} == REQUIRED
    assert headers.get("content-security-policy") == policy
    assert [name for name in TELLTALE if name in headers] == []
    assert headers.get("cache-control")
