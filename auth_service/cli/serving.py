"""What a process that serves is made of. uvicorn imports it in each of them, and `serve` itself needs none of it."""

from auth_service.cli.quick_start import collector_at_rest

with collector_at_rest():
    from pydantic import BaseModel

    # A model is built when it is first used: FastAPI declares those of the whole OpenAPI format, and few routes of ours
    # are asked by everybody.
    BaseModel.model_config["defer_build"] = True

    from fastapi import FastAPI

    from auth_service.api.protocol import Protocol
    from auth_service.main import create_app

__all__ = ["Protocol", "application"]


def application() -> FastAPI:
    """Return the service; its parts stay for good as well."""
    with collector_at_rest():
        return create_app()
