"""The fields of what is proved beside the password."""

from typing import Literal

from auth_service.api.schemas.common import ProblemDetails


class _NextStep(ProblemDetails):
    challenge: str
    methods: list[Literal["totp", "recovery_code"]]
    expires_in: int


class SecondFactorRequiredProblem(_NextStep):
    """RFC 9457. The sign-in goes on with `challenge`, by one of the `methods`, within `expires_in` seconds."""

    code: Literal["second-factor-required"]


class EnrolmentRequiredProblem(_NextStep):
    """RFC 9457. The sign-in goes on by adding a factor with `challenge`, within `expires_in` seconds."""

    code: Literal["second-factor-enrolment-required"]


class StepUpProblem(ProblemDetails):
    """RFC 9457. The bearer may sign in again, or step up: within `max_age` seconds, or to one of the `acr_values`."""

    code: Literal["step-up-required"]
    max_age: int | None
    acr_values: str | None
