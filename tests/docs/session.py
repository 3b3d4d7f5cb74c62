"""The terminal session of docs/session.md, played for real against a hub.

`play` types what the page says to type. To write the page's blocks anew, start `make dev >output.txt 2>&1` in a fresh clone, then
`python -m tests.docs.session http://127.0.0.1:8000 output.txt folder`, where the folder is one in which `npm install convex` was
typed and the examples lie.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import REPOSITORY

PAGE = REPOSITORY / "docs" / "session.md"
WAIT_S = 20.0
USER = "ada"

UNTIL_READY = "until curl -s --fail-with-body -w ' %{http_code}\\n' ADDRESS/ready; do sleep 0.2; done"


@dataclass(frozen=True, slots=True)
class Played:
    """One block: what was typed, and what came back."""

    command: str
    output: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.output}"


@dataclass(frozen=True, slots=True)
class Terminals:
    """Shells beside a running hub. `shown_address` is what the page calls `address`."""

    address: str
    output: Path
    folder: Path
    shown_address: str = "http://127.0.0.1:8000"

    def run(self, command: str) -> Played:
        """To its end."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self._real(command)],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}\n{self.output.read_text()}"
        text = done.stdout if done.stdout.endswith("\n") else f"{done.stdout}\n"
        return Played(self._shown(command), self._shown(text))

    @contextmanager
    def running(self, command: str) -> Iterator[Path]:
        """Until the block is left; gives the file with what it prints."""
        output = self.folder / "running.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {self._real(command)}"], cwd=self.folder, env=self._environment(), stdout=file, stderr=file
            )
        try:
            yield output
        finally:
            process.terminate()
            process.wait(WAIT_S)

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}

    def _real(self, command: str) -> str:
        return command.replace("ADDRESS", self.address).replace("docs/examples/", "")

    def _shown(self, text: str) -> str:
        return text.replace("ADDRESS", self.shown_address).replace(self.address, self.shown_address)


def play(terminals: Terminals) -> dict[str, Played]:
    """Every block of the page by name, in order."""
    played: dict[str, Played] = {}
    assistant = f"node docs/examples/assistant.mjs ADDRESS {USER}"
    with terminals.running(assistant) as said:
        chat = _wait(said, r"chat (\w+)")
        talk = f"ADDRESS {USER} {chat}"
        played["ask over HTTP"] = terminals.run(f"node docs/examples/ask.mjs {talk} 'hello from Node'")
        played["ask from Python"] = terminals.run(f"python docs/examples/ask.py {talk} 'hello from Python'")
        played["ask from Python over HTTP"] = terminals.run(f"python docs/examples/ask_http.py {talk} 'hello again'")
        user = terminals.run(_call("mutation", "users:ensure", externalId=USER))
        owned = {"userId": re.findall(r'"userId":"(\w+)"', user.output)[0], "chatId": chat}
        message = {"content": "hello from curl"}
        send = _call("mutation", "messages:send", "-H 'Idempotency-Key: 7d4f2c'", **owned, userMessage=message)
        played["curl, a mutation"] = terminals.run(send)
        played["curl, the same again"] = terminals.run(send)
        _wait(said, r"assistant: You said hello from curl\n")
        played["curl, a query"] = terminals.run(_call("query", "messages:list", **owned, limit=2))
        pid = re.findall(r"mongod started pid=(\d+)", terminals.output.read_text())[-1]
        played["the database is killed"] = terminals.run(f"kill -9 {pid}; sleep 0.5\n{UNTIL_READY}")
        played["ask after that"] = terminals.run(f"node docs/examples/ask.mjs {talk} 'still there?' | tail -n 2")
        played["the assistant"] = Played(terminals._shown(assistant), terminals._shown(said.read_text()))
    return played


def _call(kind: str, path: str, *options: str, **args: object) -> str:
    headers = " ".join(["-H 'Content-Type: application/json'", *options])
    return f"curl -s ADDRESS/api/{kind} {headers} \\\n    -d '{json.dumps({'path': path, 'args': args})}'"


def _wait(output: Path, pattern: str) -> str:
    """The first group of what is found once it is printed, or all of it."""
    deadline = time.monotonic() + WAIT_S
    while (found := re.search(pattern, output.read_text())) is None:
        assert time.monotonic() < deadline, f"{pattern!r} not in:\n{output.read_text()}"
        time.sleep(0.02)
    return found[found.lastindex or 0]


def masked(text: str) -> list[str]:
    """The lines that are the same in every session.

    Ids, timestamps and process numbers differ. How many steps of a stream a second client sees, and how often `/ready` is asked
    meanwhile, is a matter of speed: streamed lines are left out, and of `/ready` each kind of answer is kept once.
    """
    text = re.sub(r"\b[0-9a-hjkmnp-tv-z]{26}\b", "<id>", text)
    text = re.sub(r"[\w+/]{11}=", "<ts>", text)
    text = re.sub(r'"(\w*(?:Time|At))":[\d.]+', r'"\1":<time>', text)
    text = re.sub(r"kill -9 \d+", "kill -9 <pid>", text)
    text = re.sub(r'"reason": "[^"]+"', '"reason": <reason>', text)
    lines = [line for line in text.splitlines() if not line.endswith(" …")]
    return list(dict.fromkeys(lines)) if "/ready" in text else lines


def of_the_hub(output: str) -> dict[str, Played]:
    """What the hub's own terminal shows, until it is ready and after its database was killed."""
    start, ready, rest = re.split(r"^(hub is ready.*\n)", output, maxsplit=1, flags=re.MULTILINE)
    rest = re.sub(r" said='.*'", " said='…'", rest)
    after = [line for line in rest.splitlines() if "hub.mongo." in line]
    return {"make dev": Played("make dev", start + ready), "what the hub says": Played("", "\n".join(after))}


def write(page: Path, played: dict[str, Played]) -> None:
    """Put what was played into the page's blocks of these names."""
    text = page.read_text()
    for name, block in played.items():
        said = str(block) if block.command else block.output
        pattern = rf"(?ms)^```console {re.escape(name)}\n.*?^```$"
        before, found, after = _split(pattern, text)
        assert found, f"{page} has no block named {name!r}"
        text = f"{before}```console {name}\n{said.strip()}\n```{after}"
    page.write_text(text)


def _split(pattern: str, text: str) -> tuple[str, bool, str]:
    found = re.search(pattern, text)
    return (text[: found.start()], True, text[found.end() :]) if found else (text, False, "")


if __name__ == "__main__":
    address, output, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    played = play(Terminals(address, output, folder))
    started = played["the assistant"]
    played["the assistant starts"] = Played(started.command, started.output.partition("\n")[0])
    write(PAGE, {**played, **of_the_hub(output.read_text())})
