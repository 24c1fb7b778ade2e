"""What a process that serves is made of. uvicorn imports it in each of them, and `serve` itself needs none of it."""

import sys

from auth_service.cli.quick_start import collector_at_rest

# FastAPI asks of each model whether it is one of pydantic's first version, and would import that whole to find out.
# Where it is told that there is none, the answer is no.
sys.modules["pydantic.v1"] = None  # type: ignore[assignment]  # as Python's manual has it, for just this

with collector_at_rest():
    from pydantic import BaseModel

    # FastAPI declares a model for each part of the OpenAPI format. They are built when the document is asked for.
    BaseModel.model_config["defer_build"] = True
    from fastapi import FastAPI

    del BaseModel.model_config["defer_build"]

    from auth_service.api.protocol import Protocol
    from auth_service.main import create_app

__all__ = ["Protocol", "application"]


def application() -> FastAPI:
    """Return the service; its parts stay for good as well."""
    with collector_at_rest():
        return create_app()
