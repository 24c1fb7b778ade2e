"""What is wrong with the fields of a body that was refused for its shape: all of it, so that a form asks once.

A body of the right shape goes to its use case, which holds it to the same rules; only what has been refused already
costs more here.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from auth_service.api.http.problems.field_errors import faults_of
from auth_service.api.schemas.fields import Body, Rule
from auth_service.errors import FieldFault, FieldFaults, Reason
from auth_service.identifiers import canonical_email, canonical_username
from auth_service.services.services import Services

NAMES = {Rule.EMAIL, Rule.NEW_EMAIL, Rule.USERNAME, Rule.FIRST_USERNAME}
PASSWORDS = {Rule.PASSWORD, Rule.NEW_PASSWORD}
# What a rule says better than the shape does: the policy has limits of its own, and "a" is no e-mail address.
_JUDGED_AGAIN = {
    Rule.NEW_PASSWORD: {Reason.REQUIRED, Reason.PASSWORD_TOO_LONG},
    Rule.EMAIL: {Reason.TOO_SHORT},
    Rule.NEW_EMAIL: {Reason.TOO_SHORT},
}


def all_faults(request: Request, error: RequestValidationError) -> list[FieldFault]:
    """Return all that is wrong with a request that FastAPI refused: its shape, and what the rules say of the rest."""
    found = faults_of(error.errors())
    model = _body_of(request)
    if model is None or not isinstance(error.body, dict):
        return found
    given = [name for name, value in error.body.items() if value is not None]
    found += model.clashes(given)
    return _by_rules(found, rules_of(model), error.body, request.app.state.services)


def _body_of(request: Request) -> type[Body] | None:
    """The model of the route's body, if it has one."""
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = field.field_info.annotation if field else None
    models = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Body)]
    return models[0] if models else None


@cache
def rules_of(model: type[Body]) -> Mapping[str, Rule]:
    """The rules of the fields that have one, by name."""
    found = {}
    for name, field in model.model_fields.items():
        marks = [*field.metadata]
        for part in get_args(field.annotation):
            marks += getattr(part, "__metadata__", ())
        rules = [mark for mark in marks if isinstance(mark, Rule)]
        if rules:
            found[name] = rules[-1]
    return found


def _by_rules(
    found: list[FieldFault], rules: Mapping[str, Rule], body: Mapping[str, Any], services: Services
) -> list[FieldFault]:
    """The faults and those of the rules, which judge what has the right shape; the policy, also how long it is."""
    names = [body[name] for name, rule in rules.items() if rule in NAMES and isinstance(body.get(name), str)]
    for name, rule in rules.items():
        if rule in PASSWORDS:
            found = [_of_password(fault) if fault.field == name else fault for fault in found]
        known = {fault.reason for fault in found if fault.field == name}
        if isinstance(body.get(name), str) and known <= _JUDGED_AGAIN.get(rule, set()):
            broken = _broken(name, rule, body[name], names, services)
            found = [fault for fault in found if fault.field != name or not broken] + broken
    return found


def _of_password(fault: FieldFault) -> FieldFault:
    """A password that is too long has a reason of its own, whatever it is too long for."""
    if fault.reason is not Reason.TOO_LONG:
        return fault
    sentence = f"The password may have at most {fault.limit} characters."
    return fault._replace(reason=Reason.PASSWORD_TOO_LONG, detail=sentence)


def _broken(name: str, rule: Rule, value: str, names: list[str], services: Services) -> list[FieldFault]:
    """What the rule of a field has against its value."""
    faults = FieldFaults()
    with faults.noted():
        if rule is Rule.EMAIL:
            canonical_email(value, name)
        elif rule is Rule.NEW_EMAIL:
            services.addresses.accept(value, name)
        elif rule is Rule.USERNAME:
            canonical_username(value)
        elif rule is Rule.FIRST_USERNAME:
            services.registration.check_username(value)
        elif rule is Rule.NEW_PASSWORD:
            services.new_passwords.accept(name, value, names)
    return faults.found
