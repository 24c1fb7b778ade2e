"""The wheel of the Python client, as somebody installs it."""

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from auth_service_client import AuthClient, FileStore

from auth_service.testing.double import Double
from tests.support.claims import runs
from tests.support.markdown import ROOT, block
from tests.support.shell import Shell

INTEGRATING = "docs/integrating.md"
PROJECT = ROOT / "clients" / "python"


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, env={})
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_example_of_its_page_signs_in_and_the_next_start_goes_on(auth_double: Double, tmp_path: Path) -> None:
    email = f"{uuid4().hex}@example.com"
    with AuthClient(auth_double.url) as auth:
        auth.sign_up(email, "correct horse battery staple")
    own = {"https://auth.example.com": auth_double.url, "https://api.example.com": auth_double.url}
    program = block("clients/python/README.md", "run: client") + "print(api.get('/auth/me').json()['email'])\n"
    for written, meant in {**own, "ada@example.com": email, '"session.json"': repr(str(tmp_path / "s.json"))}.items():
        program = program.replace(written, meant)
    env = {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == email, done.stderr
    with AuthClient(auth_double.url, FileStore(tmp_path / "s.json")) as again:
        assert again.account()["email"] == email


@runs(INTEGRATING, "sh: Python client")
def test_the_wheel_is_built_and_installed_as_the_page_says_the_same_each_time_and_needs_httpx2_alone(
    tmp_path: Path,
) -> None:
    dist, installed = tmp_path / "dist", tmp_path / "installed"
    own = {
        "HOME": str(tmp_path),
        "PIP_TARGET": str(installed),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    at = {"--wheel-dir dist": f"--wheel-dir {dist}", "install dist/": f"install {dist}/"}
    Shell(ROOT, env=own).follow(INTEGRATING, "sh: Python client", replaced=at)
    (wheel,) = dist.iterdir()
    assert wheel.read_bytes() == build(tmp_path / "again").read_bytes()
    (found,) = metadata.distributions(path=[str(installed)])
    assert found.requires == ["httpx2>=2.0"]
    assert {"auth_service_client/py.typed", "auth_service_client-0.1.0.dist-info/licenses/LICENSE"} <= {
        str(file) for file in found.files or ()
    }
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    program = "import auth_service_client as a; print(a.__file__); a.AuthClient('http://127.0.0.1:1').close()"
    run = [sys.executable, "-S", "-c", program]
    done = subprocess.run(
        run, env={"PYTHONPATH": f"{installed}:{libraries}"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(str(installed)), done.stderr


def test_it_imports_nothing_but_python_and_httpx2() -> None:
    files = (PROJECT / "src").rglob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    found = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    names = {name.partition(".")[0] for name in found}
    assert names - sys.stdlib_module_names == {"auth_service_client", "httpx2"}
