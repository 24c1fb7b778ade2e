"""The wheel of the Python client, as somebody installs it."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from auth_service_client import AuthClient, FileStore

from auth_service.testing.double import Double
from tests.support.markdown import ROOT, block

PROJECT = ROOT / "clients" / "python"


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, env={"SOURCE_DATE_EPOCH": "1700000000"})
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


def test_the_wheel_is_the_same_each_time_and_needs_httpx2_alone(tmp_path: Path) -> None:
    first, second = (build(tmp_path / name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    installed = tmp_path / "installed"
    zipfile.ZipFile(first).extractall(installed)
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
