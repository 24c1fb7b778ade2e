"""What the tests of JSON bodies send, and where."""

CANARY = "c4n4ry-0f-s3cr3t"
BODY_ROUTES = ("/auth/register", "/auth/login", "/auth/refresh", "/auth/logout")
JSON = {"Content-Type": "application/json"}
