"""The documentation is true: every block runs as printed, every output is what comes, nothing is fetched.

A page is one session of bash. `console` blocks are typed in order, `python` blocks run as programs, and a
`text` block after either is its output, with `...` for what varies. A comment above a block says more:
`file: NAME` saves it, `exit: N` expects that code, `in the background` leaves it running once its output is
there, `not on its own` leaves it out.
"""

import doctest
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from qstrata.network.state import running_pid, state_paths
from tools import reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNS = ("console", "python")
LANGUAGES = (*RUNS, "text", "yaml")
PORTS = range(10141, 10145)
PATIENCE_S = 120
FENCE = re.compile(r"(?:<!-- (?P<say>[^>]*?) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.M | re.S)
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """One fenced block of a page; `output` is what is printed below it, None where nothing is."""

    language: str
    text: str
    say: str
    output: str | None


def blocks_of(page: Path) -> list[Block]:
    found = list(FENCE.finditer(page.read_text(encoding="utf-8")))
    blocks = []
    for index, fence in enumerate(found):
        following = found[index + 1] if index + 1 < len(found) else None
        output = following["text"] if following and following["language"] == "text" else None
        blocks.append(Block(fence["language"], fence["text"], fence["say"] or "", output))
    return blocks


def said(block: Block, what: str) -> str | None:
    word, _, value = block.say.partition(": ")
    return value if word == what else None


PAGES = [page.relative_to(DOCS).as_posix() for page in sorted(DOCS.rglob("*.md"))]
RUNNING_PAGES = [page for page in PAGES if any(block.language in RUNS for block in blocks_of(DOCS / page))]


class Session:
    """A user at a terminal: a home of their own, and a folder that looks like a clone."""

    def __init__(self, home: Path, clone: Path, venv: Path) -> None:
        self.home, self.clone = home, clone
        self.blocks, self.printed = home / "blocks", home / "printed"
        self.blocks.mkdir(parents=True)
        self.printed.mkdir()
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "PYTEST", "COV_")) and name not in ("MAKEFLAGS", "VIRTUAL_ENV")
        }
        self.environ |= {"HOME": str(home), "PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "COLUMNS": "240"}

    def script(self, blocks: list[Block]) -> str:
        """Return the page as one script; what block N prints goes to the file `printed/N`."""
        lines = ["set -eu -o pipefail", f"cd {shlex.quote(str(self.clone))}"]
        for number, block in enumerate(blocks):
            if block.say == "not on its own":
                continue
            source, printed = self.blocks / str(number), self.printed / str(number)
            source.write_text(block.text, encoding="utf-8")
            name = said(block, "file")
            code = said(block, "exit")
            if name is not None:
                lines.append(f"cp {source} {shlex.quote(name)}")
            elif block.language == "python":
                lines.append(f"{shlex.quote(sys.executable)} {source} > {printed} 2>&1")
            elif block.language != "console":
                continue
            elif block.say == "in the background":
                lines.append(f": > {printed}\n{{\n{block.text}}} >> {printed} 2>&1 &\nBEHIND=$!")
                last = (block.output or "").rstrip().rpartition("\n")[2]
                lines.append(
                    f"until grep -qF {shlex.quote(last)} {printed}; do kill -0 $BEHIND; sleep 0.1; done"
                )
            elif code is not None:
                lines.append(f"set +e; ( {block.text}) > {printed} 2>&1; CODE=$?; set -e; [ $CODE = {code} ]")
            else:
                lines.append(f"{{\n{block.text}}} > {printed} 2>&1")
        return "\n".join([*lines, "wait"]) + "\n"

    def run(self, page: str) -> None:
        blocks = blocks_of(DOCS / page)
        process = subprocess.Popen(
            ["bash", "-c", self.script(blocks)],
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            talk, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            talk = f"still running after {PATIENCE_S} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        printed = {number: self.read(number) for number in range(len(blocks))}
        last = max((number for number, text in printed.items() if text is not None), default=0)
        assert process.returncode == 0, f"{page}: {blocks[last].text}\n{printed[last]}\n{talk}"
        for number, block in enumerate(blocks):
            got = printed[number]
            if block.language not in RUNS or block.output is None or got is None:
                continue
            # What goes on in the background may say more later.
            wanted = block.output + "..." * (block.say == "in the background")
            as_printed = doctest.OutputChecker().check_output(wanted, got, OUTPUT)
            assert as_printed, f"{page}: {block.text}\nprints\n{got}\nand not\n{block.output}"

    def read(self, number: int) -> str | None:
        path = self.printed / str(number)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def end(self) -> list[str]:
        """End every network that is still up, and return their names."""
        left = []
        home = self.home / ".local" / "state"
        for folder in sorted((home / "qstrata").glob("*")):
            pid = running_pid(state_paths(folder.name, environ={"XDG_STATE_HOME": str(home)}))
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                left.append(folder.name)
        return left


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a short path, since a socket's path is bounded."""
    path = Path(tempfile.mkdtemp(prefix="q-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def fixed_ports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let one page at a time have the ports that shipped files name; a page that has no need of them runs."""
    if not re.search(r"^(qstrata up|make demo)", blocks_text(request.node.callspec.params["page"]), re.M):
        yield
        return
    with Path(tempfile.gettempdir(), f"qstrata-docs-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        limit = time.monotonic() + PATIENCE_S
        while taken := [port for port in PORTS if not free(port)]:
            if time.monotonic() > limit:
                pytest.skip(f"somebody else has the ports {taken}, which the pages name")
            time.sleep(0.5)
        yield


def blocks_text(page: str) -> str:
    return "".join(block.text for block in blocks_of(DOCS / page) if block.language == "console")


def free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def needs(page: str) -> None:
    text = blocks_text(page)
    for tool in ("curl", "openssl", "make"):
        if re.search(rf"^{tool} ", text, re.M) and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if re.search(r"openssl s_server", text):
        version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
        if not version.startswith("OpenSSL"):
            pytest.skip(f"{version.strip()} is not OpenSSL")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_run_or_compared(page: str) -> None:
    for block in blocks_of(DOCS / page):
        assert block.language in LANGUAGES, block.text
        assert block.language != "yaml" or said(block, "file"), block.text


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNING_PAGES)
@pytest.mark.usefixtures("fixed_ports")
def test_every_block_runs_as_it_is_printed(page: str, home: Path) -> None:
    needs(page)
    clone, venv = home / "clone", Path(sys.prefix)
    clone.mkdir()
    for name in ("Makefile", "examples", "pyproject.toml", "requirements"):
        (clone / name).symlink_to(ROOT / name)
    (clone / ".venv").mkdir()
    for entry in venv.iterdir():
        if not entry.name.endswith("-ready"):
            (clone / ".venv" / entry.name).symlink_to(entry)
    # What `make` would install is here already: a test installs nothing.
    (clone / ".venv" / ".runtime-ready").touch()
    session = Session(home / "user", clone, venv)
    try:
        session.run(page)
    finally:
        left = session.end()
    assert left == [], f"{page} leaves networks up"


@pytest.mark.campaign
@pytest.mark.parametrize("page", ["tutorial/first-key.md"])
@pytest.mark.usefixtures("fixed_ports")
def test_the_tutorial_runs_on_a_fresh_clone(page: str, home: Path) -> None:
    needs(page)
    clone = home / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    session = Session(home / "user", clone, clone / ".venv")
    session.environ["PATH"] = os.environ["PATH"]
    try:
        session.run(page)
    finally:
        left = session.end()
    assert left == []


def test_the_reference_is_what_the_code_generates() -> None:
    assert reference.stale() == [], "run `python -m tools.reference`"


class References(HTMLParser):
    """Collect every address that a page of HTML refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value
            for name, value in attrs
            if value and name in ("href", "src", "srcset", "action", "data", "poster", "content")
        ]


def test_the_site_builds_and_refers_to_no_other_host(tmp_path: Path) -> None:
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: `pip install qstrata[docs]`")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        references = References()
        references.feed(page.read_text(encoding="utf-8"))
        assert references.found
        assert [where for where in references.found if urlsplit(where).netloc] == [], page
    for style in tmp_path.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)'\"]*", text) == [], style
    for script in tmp_path.rglob("*.js"):
        text = re.sub(r"/\*.*?\*/|^\s*//.*$", "", script.read_text(encoding="utf-8"), flags=re.S | re.M)
        assert re.findall(r"['\"`](?:https?:)?//[a-z][^'\"`]*", text) == [], script
