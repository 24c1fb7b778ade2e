"""A real server on real PostgreSQL, for requests that nobody would write."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import environment
from tests.fuzzing.target import INTERNAL_TOKEN, Target
from tests.support.postgres import Postgres
from tests.support.server import Server

# A mail server that is never there: what is asked for is written down, and the answer does not depend on it.
MAIL = {
    "AUTH_MAIL__HOST": "127.0.0.1",
    "AUTH_MAIL__PORT": "9",
    "AUTH_MAIL__SECURITY": "none",
    "AUTH_MAIL__SENDER": "Auth <auth@example.com>",
}
# Whoever registers may use every route.
EVERYBODY_IS_ADMIN = """
CREATE FUNCTION promote() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.role = ''admin''; RETURN NEW; END';
CREATE TRIGGER promote BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION promote();
"""


@pytest.fixture(scope="session")
def target(postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server without its limits on guessing: what they refuse would never be read."""
    name = f"fuzzing_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    postgres.execute(EVERYBODY_IS_ADMIN, name)
    env = environment(postgres.url(name), AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN, AUTH_THROTTLE__ENABLED="false", **MAIL)
    with Server(env, tmp_path_factory.mktemp("fuzzing")) as server:
        server.wait_ready(60)
        with Target(server) as ready:
            yield ready
    postgres.drop_database(name)
