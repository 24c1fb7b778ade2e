"""A real headless Chromium, and the web sites that its pages come from."""

import logging
import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import alert_is_present
from selenium.webdriver.support.wait import WebDriverWait

from .server import free_port

PATIENCE = 30  # seconds
logging.getLogger("selenium").setLevel(logging.INFO)  # it would log what tests type into forms
NEEDED = "chromium and chromedriver are not installed (on Debian: apt-get install chromium chromium-driver)"
# From a page: a POST in cookie mode, and what the page learns of the answer.
POST = """
const [url, body, more] = args;
const headers = {"Content-Type": "application/json", "X-Auth-Cookie": "1"};
const answer = await fetch(url, {method: "POST", credentials: "include", headers, body: JSON.stringify(body), ...more});
const {status, type} = answer;
return {status, type, body: await answer.text(), headers: Object.fromEntries(answer.headers)};
"""
# In one command: an element that is found by one and read by the next may be of a page that has gone between them.
SHOWN = "return document.querySelector(arguments[0])?.innerText ?? ''"
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which does not work for root, and every page is our own
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--ignore-certificate-errors",  # the sites with TLS have a certificate of their own making
)


def available() -> bool:
    """Return whether Chromium and its driver are installed."""
    return all(shutil.which(program) for program in ("chromium", "chromedriver"))


class Browser:
    """Chromium with one profile of its own. Scripts that return a promise are waited for.

    Every name is this machine for it, so that nothing is asked of any other. `https_port` is where a URL with https
    leads that names no port.
    """

    def __init__(self, driver: Chrome, https_port: int) -> None:
        self.driver = driver
        self.https_port = https_port

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """Start it; raises FileNotFoundError when it is not installed."""
        chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
        if not (chromium and chromedriver):
            raise FileNotFoundError(NEEDED)
        options = ChromeOptions()
        options.binary_location = chromium
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        https_port = free_port()
        names = f"--host-resolver-rules=MAP *:443 127.0.0.1:{https_port}, MAP * 127.0.0.1"
        for option in (*_OPTIONS, names):
            options.add_argument(option)
        driver = Chrome(options=options, service=Service(chromedriver))  # both named, so that none is downloaded
        driver.set_script_timeout(PATIENCE)
        try:
            yield cls(driver, https_port)
        finally:
            driver.quit()

    def open(self, url: str) -> None:
        self.driver.get(url)

    def open_tab(self, url: str) -> str:
        """Open a new tab, and return what `switch_to` takes."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(url)
        return self.driver.current_window_handle

    def switch_to(self, tab: str) -> None:
        self.driver.switch_to.window(tab)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an async function in the page and return what it returns; a rejection is its text."""
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            f"(async (...args) => {{ {script} }})(...arguments).then(done, (error) => done(String(error)));"
        )
        return self.driver.execute_async_script(wrapped, *arguments)

    def post(self, url: str, body: dict[str, Any], **more: Any) -> Any:
        """Send a POST in cookie mode from the page that is open, with more options of `fetch`; a text is its error."""
        return self.run(POST, url, body, more)

    def type(self, name: str, text: str) -> None:
        field = self.driver.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element holds a text, of whichever page comes.

        Raises TimeoutException after half a minute; it tells what the page has instead.
        """
        try:
            self._wait().until(lambda driver: text in driver.execute_script(SHOWN, selector))
        except TimeoutException as error:
            shown = self.driver.execute_script(SHOWN, "body")
            raise TimeoutException(f"no {text!r} in {selector}: {shown}; {self.complaints()}") from error

    @contextmanager
    def before_pages(self, script: str) -> Iterator[None]:
        """Run a script in each page that is opened in the block, before any of its own."""
        page = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", page)

    def asked(self) -> str:
        """Wait for what the page asks or says in a dialog, and return it; the dialog stays."""
        return str(self._wait().until(alert_is_present()).text)

    def accept(self, typed: str | None = None) -> str:
        """The same, but type an answer if there is one, and close it."""
        said = self.asked()
        dialog = self.driver.switch_to.alert
        if typed is not None:
            dialog.send_keys(typed)
        dialog.accept()
        return said

    def cancel(self) -> None:
        """Wait for a dialog, and cancel it."""
        self.asked()
        self.driver.switch_to.alert.dismiss()

    def _wait(self) -> WebDriverWait[Chrome]:
        return WebDriverWait(self.driver, PATIENCE, 0.05)

    def complaints(self) -> list[str]:
        """Return what the browser has logged since it was last asked."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries]


class Site:
    """A web server for pages of the tests, with TLS if it is given a context, on any free port unless one is named.

    Each path of `pages` is HTML, but for JSON below `/.well-known` and modules that end in `.js`; `origin(host)` is its
    name for a browser.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.pages: dict[str, str] = {"/": "<!doctype html><title>empty</title>"}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                page = pages.get(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Type", _media_type(self.path))
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._scheme = "https" if tls else "http"
        if tls:  # the handshake is left to the thread of the connection: one that never comes holds up no other
            plain = self._server.socket
            self._server.socket = tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def origin(self, host: str = "localhost") -> str:
        return f"{self._scheme}://{host}:{self._server.server_port}"


def _media_type(path: str) -> str:
    if path.endswith(".js"):
        return "text/javascript"
    return "application/json" if path.startswith("/.well-known/") else "text/html; charset=utf-8"
