"""The commands that have a KME's answers altered, for those who test their clients."""

from pathlib import Path
from typing import Annotated, Any, Protocol

from cyclopts import App, Parameter

from qstrata.cli.arguments import Json, Network, StateDir

Kme = Annotated[
    str,
    Parameter(
        help="A KME (`kme/NODE`), or one session wherever it is asked for (`session/ID`, by `inspect`)."
    ),
]

KINDS = {
    "kme-exhausted": "Let a KME have no keys: 503, and a status of none; nothing is consumed.",
    "kme-lost-answer": "Lose answers: a request is served, what it asked for is burnt, the connection ends.",
    "kme-wrong-key": "Deliver keys of other bits than the other SAE gets.",
    "kme-expired": "Let keys be gone when they are fetched by id: 400; nothing is consumed.",
    "kme-unavailable": "Answer 503 to everything; nothing is consumed.",
}
"""What needs no amount, with its help; `kme-late` needs one."""

LATE = "kme-late"


class Inject(Protocol):
    """Inject a fault into a running network, and show those that stand."""

    def __call__(
        self,
        kind: str,
        target: str,
        amount: float,
        network: str | None,
        state_dir: Path | None,
        as_json: bool,
        /,
    ) -> None: ...


def add_to(app: App, inject: Inject) -> None:
    """Add a command for each fault of answers."""
    for kind, text in KINDS.items():
        app.command(_command(kind, inject), name=kind, help=text)

    def late(
        target: Kme,
        seconds: Annotated[float, Parameter(help="How much later an answer comes, up to 3600 s.")],
        /,
        *,
        network: Network = None,
        state_dir: StateDir = None,
        json: Json = False,
    ) -> None:
        inject(LATE, target, seconds, network, state_dir, json)

    app.command(late, name=LATE, help="Serve at once, and answer later.")


def _command(kind: str, inject: Inject) -> Any:
    def command(
        target: Kme, /, *, network: Network = None, state_dir: StateDir = None, json: Json = False
    ) -> None:
        inject(kind, target, 1.0, network, state_dir, json)

    return command
