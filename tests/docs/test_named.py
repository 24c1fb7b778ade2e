"""What the pages name in passing is there: commands and their options, routes, settings, metrics, events and files."""

import re
from collections.abc import Iterator

import click
import pytest

from auth_service.api.http.problems.table import PROBLEMS
from auth_service.api.metrics.families import FAMILIES
from auth_service.cli import WORDS, main
from auth_service.main import create_app
from auth_service.models import SecurityEvent
from auth_service.settings import environment_names
from tests.conftest import make_settings
from tests.support.markdown import PAGES, ROOT, spans, text

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
OF_TODAY = [name for name in NAMES if name != "CHANGELOG.md"]  # which also names what is gone
SPANS = [(page, span) for page in NAMES for span in spans(page)]
PASSKEYS = {"rp_id": "localhost", "origins": ["http://localhost:8000"]}
FOLDERS = ("auth_service", "bench", "deploy", "docs", "migrations", "tests", "torture")


def named(pattern: str, *, of_today: bool = False) -> list[tuple[str, re.Match[str]]]:
    """Return the page and the match of each piece of inline code that matches as a whole."""
    pages = OF_TODAY if of_today else NAMES
    found = [(page, re.fullmatch(pattern, span)) for page, span in SPANS if page in pages]
    return [(page, match) for page, match in found if match]


def faults(words: list[str]) -> Iterator[str]:
    """Tell what is wrong with a command of ours: words and options that it does not have, or too many arguments.

    What stands for something of the reader's is in capitals.
    """
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        if inner is None:
            yield f"no command {words[0]}"
            return
        command, words = inner, words[1:]
    options = {name: one for one in command.params if isinstance(one, click.Option) for name in one.opts}
    arguments = sum(isinstance(one, click.Argument) for one in command.params)
    while words:
        word, *words = words
        if not word.startswith("-"):
            arguments -= 1
        elif word not in options:
            yield f"no option {word}"
        elif not options[word].is_flag and words:
            yield from refused(options[word], words.pop(0))
    if arguments < 0:
        yield "too many arguments"


def refused(option: click.Option, value: str) -> Iterator[str]:
    if isinstance(option.type, click.Choice) and value not in option.type.choices and not value.isupper():
        yield f"{option.name} is never {value}"


def test_every_command_of_ours_has_the_words_and_options_that_are_named() -> None:
    ours = rf"(?:auth-service )?((?:{'|'.join(WORDS)})(?: [^`]+)?)"
    found = named(ours)
    assert len(found) > 100
    assert [(page, match[0], fault) for page, match in found for fault in faults(match[1].split())] == []


@pytest.mark.parametrize(
    "wrong", ["users tell", "users list --roles admin", "migrate now", "users list --state dead", "keys show KID KID"]
)
def test_a_command_that_is_not_ours_would_be_seen(wrong: str) -> None:
    assert list(faults(wrong.split()))


def options(command: click.Command) -> set[str]:
    """Return the options of a command and of all below it."""
    found = {name for one in command.params for name in one.opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        inner = [command.get_command(context, word) for word in command.list_commands(context)]
        found = found.union(*(options(one) for one in inner if one))
    return found


def test_every_option_that_is_named_alone_is_one_of_our_commands() -> None:
    theirs = {"--set", "--rounds", "--environ", "--net", "--from-file=ca.crt", "--stop-timeout"}
    theirs |= {"--no-deps"}  # of pip
    found = named(r"(--[^ ]+)(?: \S+)*", of_today=True)
    assert [(page, match[0]) for page, match in found if match[1] not in options(main) | theirs] == []


def test_every_word_and_variable_of_make_is_in_the_makefile() -> None:
    makefile = text("Makefile")
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\((?:or )?\$?\(?([A-Z]+)", makefile))
    found = named(r"make ([a-z0-9]+)((?: [A-Z]+=.*)?)")
    assert {match[1] for _, match in found} <= targets
    assert {name for _, match in found for name in re.findall(r"([A-Z]+)=", match[2])} <= variables


def test_every_module_that_is_run_is_there_and_has_the_options() -> None:
    module = r"python -m ((?:bench|deploy|tests|torture)[\w.]*)([^#\n]*)"
    of_the_benchmarks = [("bench/README.md", match) for match in re.finditer(module, text("bench/README.md"))]
    for page, match in [*named(module), *of_the_benchmarks]:
        path = ROOT.joinpath(*match[1].split("."))
        sources = [file.read_text("utf-8") for file in (path.with_suffix(".py"), path / "__main__.py") if file.exists()]
        assert sources, (page, match[0])
        shared = "".join(file.read_text("utf-8") for file in (ROOT / "bench").glob("*.py"))
        for option in re.findall(r"--[\w-]+", match[2]):
            assert f'"{option}"' in sources[0] + shared, (page, match[0])


def routes() -> set[tuple[str, str]]:
    """Return the method and the path of each route; of a parameter, `{}`."""
    app = create_app(make_settings("sqlite+aiosqlite://", docs={"enabled": True}, passkeys=PASSKEYS))
    found = {("GET", "/internal/verify")}  # it is answered before the router is asked
    for route in app.routes:
        path = re.sub(r"\{\w+(?::\w+)?\}", "{}", getattr(route, "path", ""))
        found |= {(method, path) for method in getattr(route, "methods", None) or {"GET"}}
    return found


def is_there(method: str | None, path: str, there: set[tuple[str, str]]) -> bool:
    """Tell whether a path is one of a route, with or without a parameter in it, or the beginning of one."""
    if path.endswith(("*", "/")) or path in {"/admin", "/internal", "/auth/passkeys"}:
        return any(route.startswith(path.rstrip("*")) for _, route in there)
    wanted = re.sub(r"\{\w+\}", "{}", path)
    return any(
        re.fullmatch(re.escape(route).replace(r"\{\}", "[^/]+"), wanted) and method in (None, theirs)
        for theirs, route in there
    )


def test_every_route_that_is_named_is_one() -> None:
    there, first = routes(), "auth|admin|internal|health|metrics|problems|\\.well-known|docs"
    found = named(rf"(?:(GET|HEAD|POST|PUT|PATCH|DELETE) )?(/(?:{first})(?:/[^?\s]*)?)(?:\?\S*)?")
    assert len(found) > 100
    assert [(page, match[0]) for page, match in found if not is_there(match[1], match[2], there)] == []
    assert not is_there("GET", "/auth/tokens", there)
    assert not is_there("GET", "/auth/login", there)


def test_every_problem_that_is_named_with_its_status_is_one() -> None:
    known = {(str(problem.status), word) for word, problem in PROBLEMS.items()}
    found = [
        (page, named) for page in NAMES for named in re.findall(r"\b([45]\d\d) `([a-z]+(?:-[a-z]+)+)`", text(page))
    ]
    assert len(found) > 50
    assert [(page, named) for page, named in found if named not in known] == []


def test_every_setting_that_the_pages_name_exists() -> None:
    settings = {
        name for page in NAMES for name in re.findall(r"\b(?:AUTH_[A-Z0-9_]+|DB_[A-Z_]+|DATABASE_URL)\b", text(page))
    }
    names = set(environment_names())
    assert settings - names - {f"{name}_FILE" for name in names} == set()


def test_every_metric_that_is_named_is_one() -> None:
    kinds = {"_".join(name.split("_")[:2]) for name in FAMILIES}
    found = named(rf"((?:{'|'.join(kinds)})_[a-z_]+)(?:\{{.*\}})?", of_today=True)
    assert len(found) > 50
    assert [(page, match[0]) for page, match in found if match[1] not in FAMILIES] == []


def test_every_event_that_is_named_is_logged() -> None:
    paths = [path for folder in ("auth_service", "migrations") for path in (ROOT / folder).rglob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in paths)
    logged = set(re.findall(r"\b(?:log\.\w+|write|tell)\(\s*\"([a-z_.]+)\"", source)) | set(SecurityEvent)
    kinds = {event.partition(".")[0] for event in logged} - {"verifier", "config"}
    found = named(rf"((?:{'|'.join(kinds)})\.(?!get|py|md|sql|conf|json|so|ts|yml)[a-z_]+)", of_today=True)
    assert len(found) > 100
    assert [(page, match[1]) for page, match in found if match[1] not in logged] == []


def test_every_file_that_is_named_by_its_folder_is_there() -> None:
    """Also within a command."""
    found = [
        (page, path)
        for page, span in SPANS
        for path in re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./*-]*", span)
    ]
    assert len(found) > 100
    assert [(page, path) for page, path in found if not any(ROOT.glob(path.rstrip("/")))] == []
