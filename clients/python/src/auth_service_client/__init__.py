"""A client of auth-service for Python programs: it signs in, keeps the session, and puts it on requests.

    auth = AuthClient("https://auth.example.com", FileStore("session.json"))
    auth.sign_in(email="ada@example.com", password="correct horse battery staple")
    api = httpx2.Client(auth=auth.bearer())

`AsyncAuthClient` is the same for asynchronous code. The package is not on any public index.
"""

from auth_service_client.answers import (
    Account,
    FactorItem,
    FactorList,
    NewTotpFactor,
    PasskeyAsked,
    PasskeyChallenge,
    PasskeyItem,
    SessionItem,
    TotpSecret,
)
from auth_service_client.asynchronous import AsyncAuthClient
from auth_service_client.bearer import Bearer, StepUpAsked
from auth_service_client.client import AuthClient
from auth_service_client.errors import (
    AuthError,
    EnrolmentRequired,
    Refused,
    SecondFactorRequired,
    SignInAgain,
    TryAgainLater,
)
from auth_service_client.protocol import Change
from auth_service_client.stores import AsyncStore, FileStore, MemoryStore, Store

__version__ = "0.1.0"
__all__ = [
    "Account",
    "AsyncAuthClient",
    "AsyncStore",
    "AuthClient",
    "AuthError",
    "Bearer",
    "Change",
    "EnrolmentRequired",
    "FactorItem",
    "FactorList",
    "FileStore",
    "MemoryStore",
    "NewTotpFactor",
    "PasskeyAsked",
    "PasskeyChallenge",
    "PasskeyItem",
    "Refused",
    "SecondFactorRequired",
    "SessionItem",
    "SignInAgain",
    "StepUpAsked",
    "Store",
    "TotpSecret",
    "TryAgainLater",
]
