"""Makes one method of both clients from one generator."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, overload

from auth_service_client.steps import Flow

if TYPE_CHECKING:
    from auth_service_client.asynchronous import AsyncAuthClient
    from auth_service_client.client import AuthClient

Params = ParamSpec("Params")
Returned = TypeVar("Returned")


class use_case(Generic[Params, Returned]):  # noqa: N801  # a decorator
    """A method that is written once: of an `AuthClient` it returns what the generator does, and of an
    `AsyncAuthClient` a coroutine with that.
    """

    def __init__(self, flow: Callable[Concatenate[Any, Params], Flow[Returned]]) -> None:
        self._flow = flow
        *_, returned = get_args(flow.__annotations__["return"])
        flow.__annotations__["return"] = returned  # for help(): it is what a caller gets

    @overload
    def __get__(self, client: "AuthClient", owner: type) -> Callable[Params, Returned]: ...
    @overload
    def __get__(self, client: "AsyncAuthClient", owner: type) -> Callable[Params, Coroutine[Any, Any, Returned]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, Params], Any]: ...
    def __get__(self, client: "AuthClient | AsyncAuthClient | None", owner: type) -> Callable[..., Any]:
        return self._flow if client is None else client._method(self._flow)  # noqa: SLF001  # part of both
