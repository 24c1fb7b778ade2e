"""Answers where the application did not: what refusals and faults tell."""

import asyncio
from collections.abc import Awaitable

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.middleware.denials import Denials
from auth_service.api.http.problems import InternalError, answer, answer_to
from auth_service.errors import Refused, Unavailable

log = structlog.get_logger()


class ErrorBoundary:
    """Answers when the app did not: a refusal, a fault of ours, and when the service ends before the request does."""

    def __init__(self, app: ASGIApp, base_url: str, denials: Denials) -> None:
        self._app = app
        self._base_url = base_url
        self._denials = denials

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (self._call if scope["type"] == "http" else self._app)(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def watch(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            raise
        except Exception as error:
            refused = error if isinstance(error, Refused) else InternalError()
            if answered or refused is not error:  # a fault of ours, which is logged without values
                log.exception("request.failed", exc_info=error)
            self._denials.record(refused, scope)
            if not answered:
                await answer_to(Request(scope), refused, self._base_url)(scope, receive, send)
        except asyncio.CancelledError:
            if not answered:
                await answer(Unavailable(), self._base_url, {"Connection": "close"})(scope, receive, send)
            raise
