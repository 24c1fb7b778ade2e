"""The package of the JavaScript client: its types, its size, and the file that somebody installs."""

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from auth_service.testing.double import Double
from tests.conftest import environment
from tests.support.javascript_client import run
from tests.support.markdown import ROOT, block
from tests.support.server import run_command

SIZE = 6_000  # bytes, compressed


@pytest.fixture
def packed(project: Path, tmp_path: Path) -> Path:
    run(project, "npm", "pack", "--pack-destination", str(tmp_path))
    (found,) = tmp_path.glob("*.tgz")
    return found


def test_its_types_are_those_of_the_document(project: Path, tmp_path: Path) -> None:
    document = run_command("openapi", env=environment("sqlite+aiosqlite://"), cwd=tmp_path).stdout
    types = run(project, "npm", "run", "--silent", "types", given=document)
    written = (project / "src" / "schema.ts").read_text()
    assert types == written, "auth-service openapi | npm run --silent types > src/schema.ts"


def test_it_is_strictly_typed_clean_and_without_dependencies(project: Path) -> None:
    run(project, "npm", "run", "check")
    assert "dependencies" not in json.loads((project / "package.json").read_text())


def test_who_installs_it_can_compile_its_page_and_a_program_without_a_browser(project: Path) -> None:
    client, step_up = (block("clients/javascript/README.md", f"run: {name}") for name in ("client", "step-up"))
    own = "declare const askPassword: () => Promise<string>, askCode: () => Promise<string>;\n"
    (project / "build" / "page.ts").write_text(f"{client}\n{own}{step_up}\nexport {{ onStepUp }};\n")
    (project / "build" / "types.ts").write_text((project / "test" / "types.ts").read_text())
    compile_ = ("npx", "tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext")
    run(project, *compile_, "--lib", "es2022,dom", "build/page.ts")
    run(project, *compile_, "--lib", "es2022", "--types", "node", "build/types.ts")


def test_it_is_one_small_module_without_imports(project: Path) -> None:
    (module,) = (project / "dist").glob("*.js")
    assert len(gzip.compress(module.read_bytes(), 9, mtime=0)) < SIZE
    assert "import" not in module.read_text()


def test_its_lock_names_no_address_of_a_registry() -> None:
    lock = json.loads((ROOT / "clients/javascript/package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_the_packed_file_is_the_same_each_time_and_signs_in_where_it_is_installed(
    project: Path, packed: Path, auth_double: Double, tmp_path: Path
) -> None:
    first = packed.read_bytes()
    run(project, "npm", "run", "build:js")
    run(project, "npm", "pack", "--pack-destination", str(tmp_path))
    assert packed.read_bytes() == first
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    assert {"package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"} <= names
    assert not [name for name in names if name.startswith(("src/", "test/", "build/"))]
    app = tmp_path / "app"
    app.mkdir()
    (app / "package.json").write_text('{"private": true}')
    run(app, "npm", "install", "--offline", "--no-audit", "--no-fund", str(packed))
    (app / "app.mjs").write_text(PROGRAM)
    assert run(app, "node", "app.mjs", AUTH_URL=auth_double.url) == "signed-in packed@example.com\n"


PROGRAM = """
import { createAuth } from "auth-service-client";
const auth = createAuth({ url: process.env.AUTH_URL, mode: "memory" });
const account = { email: "packed@example.com", password: "correct horse battery staple" };
await auth.signUp(account);
await auth.signIn(account);
const { email } = await (await auth.fetch(`${process.env.AUTH_URL}/auth/me`)).json();
console.log(auth.state.status, email);
"""


def test_the_example_of_its_page_signs_in_and_calls_an_api(project: Path, auth_double: Double) -> None:
    example = block("clients/javascript/README.md", "run: client")
    own = {"https://auth.example.com": auth_double.url, "https://api.example.com/orders": f"{auth_double.url}/auth/me"}
    for written, meant in {**own, "ada@example.com": "page@example.com", '"cookie"': '"memory"'}.items():
        assert written in example
        example = example.replace(written, meant)
    register = 'await auth.signUp({ email: "page@example.com", password: "correct horse battery staple" });\n'
    program = example.replace("await auth.signIn", register + "await auth.signIn")
    (project / "build" / "page.mjs").write_text(program + "console.log((await answer.json()).email);\n")
    assert run(project, "node", "build/page.mjs") == "signed-out\nsigned-in\npage@example.com\n"
