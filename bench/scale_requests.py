"""What `bench.scale` asks of a large and of a small population: other sessions and other people each time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import httpx

from auth_service.security.factors.recovery_codes import AT_ONCE
from bench.exchanges import CODE, VALUE, Exchange, get, post
from bench.populated_factors import CODES, EACH, PopulatedFactors
from bench.population import Population
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster

INTERNAL_TOKEN = "internal-token-of-the-benchmarks"
ADMIN = "admin@example.com"
TOKENS = 100  # access tokens, from one job of the load generator
PART = 8  # characters of an address, so many that few addresses have them
_TOKEN = "ACCESS"  # in a head: the place of the administrator's access token
_BEARER, _OF_ADMIN = f"Authorization: Bearer {VALUE}", f"Authorization: Bearer {_TOKEN}"


@dataclass(frozen=True)
class Operation:
    """A request, and in how many times fewer numbers than others it is sent, as it is dear or its values are few."""

    exchange: Exchange
    fewer: int = 1


OPERATIONS = {
    "login": Operation(post("/auth/login", {"email": VALUE, "password": PASSWORD}), 10),
    "refresh": Operation(post("/auth/refresh", {"refresh_token": VALUE})),
    "second step, TOTP": Operation(post("/auth/login/second-factor", {"challenge": VALUE, "code": CODE}), 4),
    "second step, recovery code": Operation(post("/auth/login/second-factor", {"challenge": VALUE, "code": CODE}), 3),
    "list of sessions": Operation(get("/auth/sessions", _BEARER)),
    "verify": Operation(get("/internal/verify", _BEARER, f"X-Internal-Token: {INTERNAL_TOKEN}")),
    "admin: whole address": Operation(get(f"/admin/users?name={VALUE}", _OF_ADMIN), 3),
    "admin: part of an address": Operation(get(f"/admin/users?q={VALUE}", _OF_ADMIN), 3),
    "admin: username": Operation(get(f"/admin/users?name={VALUE}", _OF_ADMIN), 3),
    "admin: a page of users": Operation(get(f"/admin/users?page={VALUE}", _OF_ADMIN), 3),
    "admin: one user": Operation(get(f"/admin/users/{VALUE}", _OF_ADMIN), 3),
}
PAGES = 40  # as many as the small population has
_SIGN_IN = replace(OPERATIONS["refresh"].exchange, pick=r'"access_token":"(?P<access>[^"]+)"')
Send = Callable[[Exchange, list[str]], list[dict[str, str]]]
Values = Callable[[], list[str]]


class ScaleRequests:
    """For one population; `send` does a job of the load generator at its server, and returns what was picked."""

    def __init__(self, population: Population, factors: PopulatedFactors, sessions: int, send: Send) -> None:
        self._population = population
        self._send = send
        self._unused = population.pick(sessions)
        self._apps, self._codes = factors.uses(CODES), factors.uses(AT_ONCE)
        self._factors = factors

    def values(self, operation: str, count: int) -> Values:
        """What to send for so many requests, to be asked for just before: codes are good for a while."""
        match operation:
            case "second step, TOTP":
                return lambda: self._factors.codes(list(islice(self._apps, count)))
            case "second step, recovery code":
                return lambda: self._factors.recovery_codes(list(islice(self._codes, count)))
            case "refresh" | "list of sessions" | "verify":
                tokens = self._of_sessions(count, with_access=operation != "refresh")
                return lambda: tokens
        values = [self._of_user(operation, user) for user in self._users(count)]
        return lambda: values

    def _of_sessions(self, count: int, *, with_access: bool) -> list[str]:
        numbers, self._unused = self._unused[:count], self._unused[count:]
        tokens = [self._population.token(number) for number in numbers]
        if not with_access:
            return tokens
        jobs = (tokens[start : start + TOKENS] for start in range(0, count, TOKENS))
        return [one["access"] for job in jobs for one in self._send(_SIGN_IN, job)]

    def _users(self, count: int) -> list[int]:
        """Users without second factors."""
        found = random.sample(range(self._population.users), 2 * count)
        return [user for user in found if user % EACH][:count]

    def _of_user(self, operation: str, user: int) -> str:
        email = self._population.email(user)
        match operation:
            case "admin: part of an address":
                start = random.randrange(len(email.partition("@")[0]) - PART + 1)
                return email[start : start + PART]
            case "admin: username":
                return self._population.username(user)
            case "admin: a page of users":
                return str(1 + user % PAGES)
            case "admin: one user":
                return str(self._population.user_id(user))
        return email


def exchange(operation: str, admin_token: str) -> Exchange:
    """The request, by the administrator if it is one of theirs."""
    asked = OPERATIONS[operation].exchange
    return replace(asked, head=asked.head.replace(_TOKEN, admin_token))


def make_admin(client: httpx.Client, cluster: Cluster, database: str) -> None:
    """Add an administrator to a database."""
    client.post("/auth/register", json={"email": ADMIN, "password": PASSWORD}).raise_for_status()
    cluster.execute(f"UPDATE users SET role = 'admin' WHERE email_canonical = '{ADMIN}'", database)


def admin_token(client: httpx.Client) -> str:
    """Sign the administrator in."""
    answer = client.post("/auth/login", json={"email": ADMIN, "password": PASSWORD})
    token: str = answer.raise_for_status().json()["access_token"]
    return token
