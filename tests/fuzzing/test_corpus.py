"""Bodies, headers, paths, queries and tokens that nobody would write, to every route: each answer is documented."""

import itertools
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fuzzing.routes import LABELS, REFRESH_TOKEN, good_fields, guarded_by, open_without, parameters, path
from tests.fuzzing.strategies import HEADERS, NASTY_JSON, bodies, header_values, media_types, tokens, url_texts
from tests.fuzzing.target import INTERNAL_TOKEN, Target, fuzzed

REFUSED = {400, 401, 431}


def raw(headers: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode("utf-8", "surrogatepass") for name, value in headers.items()}


@pytest.mark.parametrize("label", LABELS)
def test_no_body_gets_an_answer_that_is_not_documented(label: str, target: Target) -> None:
    @fuzzed
    @given(body=bodies(good_fields(label)), media_type=media_types)
    def send(body: bytes, media_type: bytes) -> None:
        headers = {**raw(target.credentials()), "Content-Type": media_type}
        token = json.dumps(target.tokens()["refresh_token"])
        target.send(label, headers, body.replace(REFRESH_TOKEN.encode(), token.encode()), path(label))

    send()


@pytest.mark.parametrize("label", [label for label in LABELS if good_fields(label)])
def test_no_nasty_value_in_any_field_gets_an_answer_that_is_not_documented(label: str, target: Target) -> None:
    good = good_fields(label)
    for name, value in itertools.product(good, NASTY_JSON):
        headers = raw({**target.credentials(), "Content-Type": "application/json"})
        fields = {**good, name: value, **({"email": "null"} if name == "username" and "login" in label else {})}
        document = ",".join(f'"{field}":{text}' for field, text in fields.items())
        target.send(label, headers, document.encode(), path(label))


@pytest.mark.parametrize("label", LABELS)
def test_no_header_path_or_query_gets_an_answer_that_is_not_documented(label: str, target: Target) -> None:
    queries = st.lists(st.tuples(st.sampled_from(parameters(label)), url_texts).map("=".join), max_size=3).map("&".join)

    @fuzzed
    @given(headers=st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=4), text=url_texts, query=queries)
    def send(headers: dict[str, bytes], text: str, query: str) -> None:
        target.send(label, {**raw(target.credentials()), **headers}, path=f"{path(label, text)}?{query}")

    send()


@pytest.mark.parametrize("label", guarded_by("access_token"))
def test_no_access_token_but_the_one_that_was_issued_opens_a_route(label: str, target: Target) -> None:
    well_formed = json.dumps({name: json.loads(value) for name, value in good_fields(label).items()}).encode()
    where = path(label, "00000000-0000-4000-8000-000000000000")

    @fuzzed
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        token = target.tokens()["access_token"]
        text = data.draw(tokens(token) | tokens(target.tokens()["refresh_token"]))
        assume(text.strip(" \t") != token)
        headers = raw({"Authorization": f"Bearer {text}", "Content-Type": "application/json"})
        assert target.send(label, headers, well_formed, where).status in REFUSED
        assert target.lives()

    send()


@pytest.mark.parametrize("label", [label for label in guarded_by("internal_token") if not open_without(label)])
@pytest.mark.parametrize(("header", "scheme"), [("Authorization", "Bearer "), ("X-Internal-Token", "")])
def test_no_internal_token_but_the_configured_one_opens_a_route(
    label: str, header: str, scheme: str, target: Target
) -> None:
    @fuzzed
    @given(text=tokens(INTERNAL_TOKEN))
    def send(text: str) -> None:
        assume(text.strip(" \t") != INTERNAL_TOKEN)
        assert target.send(label, raw({header: scheme + text})).status in REFUSED

    send()


@pytest.mark.parametrize("label", ["POST /auth/refresh", "POST /auth/logout"])
def test_no_refresh_token_but_the_one_that_was_issued_moves_a_session(label: str, target: Target) -> None:
    expected = {"POST /auth/refresh": {401, 413, 422}, "POST /auth/logout": {204, 413, 422}}[label]

    @fuzzed
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        token = target.tokens()["refresh_token"]
        text = data.draw(tokens(token) | tokens(target.tokens()["access_token"]))
        assume(text != token)
        body = json.dumps({"refresh_token": text}).encode()
        assert target.send(label, raw({"Content-Type": "application/json"}), body).status in expected
        assert target.lives()

    send()
