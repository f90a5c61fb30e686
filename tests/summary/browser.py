"""A headless Chromium, driven through the WebDriver protocol of chromedriver; and servers that end with the test."""
from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 120.0  # seconds, on a busy machine
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1600,1200"
)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def fetch(url: str, data: Any = None, method: str | None = None) -> bytes:
    """What a server of this machine answers."""
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    with _DIRECT.open(request, timeout=PATIENCE) as response:
        content: bytes = response.read()
        return content


def wait_for(ask: Callable[[], Any], what: str) -> Any:
    """What `ask` gives, once that is true.

    Raises:
      TimeoutError: it does not come to that.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError(what)


@contextmanager
def server(command: Sequence[str], url: str, log: Path) -> Iterator[None]:
    """Runs a server within a `with` block, from when it answers at `url`."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:

        def answers() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} has ended: {log.read_text()[-2000:]}")
            try:
                fetch(url)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False
            return True

        wait_for(answers, f"{command[0]} does not answer: {log.read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


class Browser:
    """A session of chromedriver.

    Args:
      driver: the address of chromedriver.
      profile: an empty folder for what the browser keeps.
    """

    def __init__(self, driver: str, profile: Path) -> None:
        options = {"args": [*_FLAGS.split(), f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        made = json.loads(fetch(f"{driver}/session", wanted))["value"]
        self._session = f"{driver}/session/{made['sessionId']}"

    def open(self, url: str) -> None:
        """Loads a page."""
        fetch(f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """What JavaScript gives, the body of a function; in it, `all(css)` finds elements, in shadow trees too."""
        whole = _ALL + script
        return json.loads(fetch(f"{self._session}/execute/sync", {"script": whole, "args": []}))["value"]

    def wait(self, script: str, what: str) -> Any:
        """What JavaScript gives, once that is true."""
        return wait_for(lambda: self.run(script), what)

    def screenshot(self, path: Path) -> None:
        """Writes what the page looks like to a PNG file."""
        content = json.loads(fetch(f"{self._session}/screenshot"))["value"]
        path.write_bytes(base64.b64decode(content))

    def close(self) -> None:
        """Ends the browser."""
        fetch(self._session, method="DELETE")


_ALL = """
function all(css, root = document) {
  const found = [...root.querySelectorAll(css)];
  for (const element of root.querySelectorAll('*'))
    if (element.shadowRoot) found.push(...all(css, element.shadowRoot));
  return found;
}
"""


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser within a `with` block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with server(["chromedriver", f"--port={port}"], f"{address}/status", folder / "chromedriver.log"):
        opened = Browser(address, folder / "profile")
        try:
            yield opened
        finally:
            opened.close()
