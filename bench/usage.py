"""What a million active users ask of the service and of its database, by a model and the cost of one request."""

from dataclasses import dataclass
from typing import Any

from bench.population import Population

DAY = 86_400  # seconds
MILLION = 1_000_000


@dataclass(frozen=True)
class Model:
    """How people use applications. An active user uses one on each device so many hours of a day."""

    devices: float = 2
    hours_a_day: float = 2
    refresh_every_seconds: float = 300
    days_between_logins: float = 14
    requests_an_hour: float = 60  # that a gateway has verified
    session_rows: float = 4  # that are kept: those in use, and those that ended and have not expired
    peak: float = 3  # times the average of the day


MODEL = Model()


def per_million(reports: dict[str, dict[str, float]], sizes: dict[str, int], population: Population) -> dict[str, Any]:
    """Requests a second and busy cores on average and at the peak, and the space that it takes.

    `reports` are of requests by name, `sizes` of the tables and indexes of the population.
    """
    hours = MILLION * MODEL.devices * MODEL.hours_a_day / DAY
    rates = {
        "refresh": hours * 3600 / MODEL.refresh_every_seconds,
        "login": MILLION * MODEL.devices / MODEL.days_between_logins / DAY,
        "verify": hours * MODEL.requests_an_hour,
    }
    cores = {name: rate * reports[name]["cpu_ms"] / 1000 for name, rate in rates.items()}
    wal = sum(rate * reports[name]["wal_bytes"] for name, rate in rates.items())
    session, user = (
        sum(size for relation, size in sizes.items() if word in relation) / count
        for word, count in (("refresh_tokens", population.rows), ("users", population.users))
    )
    return {
        "requests_a_second": {name: round(rate, 1) for name, rate in rates.items()},
        "cores": {name: round(one, 2) for name, one in cores.items()},
        "cores_at_peak": round(sum(cores.values()) * MODEL.peak, 1),
        "bytes_of_a_session": round(session),
        "bytes_of_a_user": round(user),
        "tables_gib": round(MILLION * (session * MODEL.session_rows + user) / 2**30, 1),
        "wal_gib_a_day": round(wal * DAY / 2**30, 1),
    }
