"""Whether OpenTelemetry's environment variables ask for traces; the SDK is imported only if they do."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from auth_service.telemetry.exporting import Exporting

log = structlog.get_logger()

PROTOCOL = "http/protobuf"
ASKED_BY = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER")


def prepare(environ: Mapping[str, str] = os.environ) -> "Exporting | None":
    """Return what exports spans, or None if nobody asks for it.

    What stands in the way is logged, in one line, and the service serves without: the variables are often set for all
    that runs in a cluster, and people must be able to sign in whatever becomes of traces.
    """
    if not is_asked_for(environ):
        return None
    if obstacle := _obstacle(environ):
        log.warning("telemetry.off", because=obstacle)
        return None
    try:
        from auth_service.telemetry.exporting import Exporting  # noqa: PLC0415

        return Exporting()
    except Exception as error:
        log.exception("telemetry.off", because="a value of OTEL_* cannot be used", exc_info=error)
        return None


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether one of the variables that begin an export is set, and none that forbids it."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or _exporters(environ) == ["none"]:
        return False
    return any(environ.get(name, "").strip() for name in ASKED_BY)


def _obstacle(environ: Mapping[str, str]) -> str | None:
    """What of that cannot be done here."""
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if _exporters(environ) != ["otlp"]:
        return "OTEL_TRACES_EXPORTER must be otlp or none"
    if protocol and protocol.strip() != PROTOCOL:
        return f"OTEL_EXPORTER_OTLP_PROTOCOL must be {PROTOCOL}"
    if not _is_installed():
        return "the extra is not installed: in a checkout, pip install '.[telemetry]'"
    return None


def _exporters(environ: Mapping[str, str]) -> list[str]:
    return [name.strip().lower() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]


def _is_installed() -> bool:
    try:
        return all(find_spec(f"opentelemetry.{part}") for part in ("sdk.trace", "exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # not even the folder around it
        return False
