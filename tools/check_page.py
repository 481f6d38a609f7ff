"""Start `make up` (or another command), look at its page with a real browser, and stop it as a user does.

    tools/check_page.py --expect TEXT --screenshot FILE --answers-within 3 -- make up 'ARGS=--port {port}'

`{port}` becomes a free port. Exit code 0: every check held; 1: one line for each that did not.
"""

import argparse
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1280,2400",
)
STOP_WITHIN_S = 5.0
EXTERNAL = re.compile(
    r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^"'>\s]+""", re.I
)


class Page(HTMLParser):
    """What a reader sees of a page: its text, the number of pictures, and the state of `#status`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.pictures = 0
        self.state: str | None = None
        self._hidden = 0
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count pictures, remember the state, skip what is not shown."""
        self.pictures += tag == "svg"
        self._hidden += tag in ("script", "style")
        values = dict(attrs)
        if values.get("id") == "status":
            self.state = values.get("data-state")

    def handle_endtag(self, tag: str) -> None:
        """Show text again after a script or a style sheet."""
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        """Collect what is shown."""
        if not self._hidden:
            self.words.append(data)


def complaints(html: str, expected: list[str], pictures: int) -> list[str]:
    """What is wrong with a finished page: missing texts (case ignored) and pictures, foreign assets."""
    page = Page(html)
    found = [] if page.state == "done" else [f"the page's #status says {page.state}, not done"]
    found += [f"the page does not say: {text}" for text in expected if text.lower() not in page.text.lower()]
    if page.pictures < pictures:
        found.append(f"the page has {page.pictures} pictures (svg), expected at least {pictures}")
    found += [f"the page loads something from outside: {match}" for match in EXTERNAL.findall(html)]
    return found


class Served:
    """A command in its own process group, with its output collected, until the group gets SIGINT."""

    def __init__(self, command: list[str]) -> None:
        self.began = time.monotonic()
        self.output = ""
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell that put us in the background has SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            print(f"    {line}", end="", flush=True)

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def url(self, timeout_s: float) -> str:
        """The loopback URL that the command prints."""
        while self.elapsed() < timeout_s and self.process.poll() is None:
            if match := re.search(r"http://(?:127\.0\.0\.1|localhost|\[::1\]):\d+/?", self.output):
                return match.group()
            time.sleep(0.05)
        raise SystemExit(
            f"check_page: no loopback URL after {self.elapsed():.0f} s; exit code {self.process.poll()}"
        )

    def stop(self) -> list[str]:
        """Ctrl-C: SIGINT to the whole group, as a terminal does; what was wrong with the way it ended."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        # Not only make must be gone: the output ends when the last process of the group has ended.
        self._reader.join(STOP_WITHIN_S)
        if self._reader.is_alive():
            os.killpg(self.process.pid, signal.SIGKILL)
            return [f"Ctrl-C did not stop it within {STOP_WITHIN_S:.0f} s"]
        code = self.process.wait()
        print(f"check_page: Ctrl-C stopped it in {time.monotonic() - began:.2f} s, exit code {code}")
        # make ends by the signal itself (-2), a server that stops cleanly by 0 or 130.
        wrong = [] if code in (0, 130, -signal.SIGINT) else [f"exit code {code} after Ctrl-C"]
        noise = ("Traceback (most recent call last)", "make: ***")
        return wrong + [f"it printed: {text}" for text in noise if text in self.output]


def fetch(url: str, whole: bool = True) -> str | None:
    """The page's HTML (or "" as soon as its head is there), or None while nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode()) if whole else ""
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
        return None


def wait_until_done(served: Served, url: str, timeout_s: float) -> float:
    """Seconds from the start to the first answer, once `#status` says done."""
    answered = 0.0
    while served.elapsed() < timeout_s and served.process.poll() is None:
        html = fetch(url, whole=answered > 0)  # The first answer counts, though the page may fill for longer.
        answered = answered or (served.elapsed() if html is not None else 0.0)
        state = Page(html).state if html else None
        if state == "failed":
            raise SystemExit("check_page: the page says that the job failed (its words are above)")
        if state == "done":
            print(f"check_page: answered after {answered:.2f} s, done after {served.elapsed():.1f} s")
            return answered
        time.sleep(0.1)
    raise SystemExit(f"check_page: the page is not done after {served.elapsed():.0f} s")


def browse(browser: str, *arguments: str) -> str:
    """Run a fresh headless browser; its stdout. Raises SystemExit where the browser fails."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"check_page: {browser} failed: {done.stderr[-2000:]}")
    return done.stdout


def look(url: str, options: argparse.Namespace) -> list[str]:
    """The page in a browser: its screenshot and its content. Without a browser the plain HTML is checked."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        if os.environ.get("CI") == "true":
            return ["no chromium here (fix: apt install chromium)"]
        print("check_page: screenshot skipped, no chromium here (fix: apt install chromium)")
        return complaints(fetch(url) or "", options.expect, options.pictures)
    wrong = complaints(browse(browser, "--dump-dom", url), options.expect, options.pictures)
    if options.screenshot:
        picture = Path(options.screenshot).resolve()
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.unlink(missing_ok=True)
        browse(browser, f"--screenshot={picture}", url)
        size = picture.stat().st_size if picture.exists() else 0
        print(f"check_page: screenshot {options.screenshot}, {size} bytes")
        if size < options.screenshot_bytes:  # An empty page of this size takes about 10 kB.
            wrong.append(f"the screenshot has {size} bytes: the page is empty")
    return wrong


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--expect", action="append", default=[], help="text that the finished page must show")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--screenshot")
    parser.add_argument("--screenshot-bytes", type=int, default=40_000)
    parser.add_argument("--answers-within", type=float, help="seconds from start to first answer")
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main() -> int:
    """Start, look, stop; 0 if everything held."""
    options = parse()
    port = free_port()
    served = Served([part.replace("{port}", str(port)) for part in options.command])
    wrong: list[str] = []
    try:
        url = served.url(options.timeout)
        answered = wait_until_done(served, url, options.timeout)
        if options.answers_within and answered > options.answers_within:
            wrong.append(f"the page answered after {answered:.1f} s, limit {options.answers_within:.1f} s")
        wrong += look(url, options)
    finally:
        wrong += served.stop() if served.process.poll() is None else ["the command ended by itself"]
    for line in wrong:
        print(f"check_page: FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
