"""The arguments that several commands take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


def usage(command: str, argument: str) -> str:
    """Return the usage line of a command whose one argument may be left out."""
    return f"Usage: qstrata {command} [OPTIONS] [{argument}]\n"


def duration(kind: Any, tokens: Sequence[Any]) -> int:
    """Convert what was typed to a duration in picoseconds."""
    from qstrata.core.durations import duration_ps

    return duration_ps(tokens[0].value)


def seconds(kind: Any, tokens: Sequence[Any]) -> int:
    """Convert what was typed to whole seconds: of `bool | int`, "1" would be taken for yes."""
    wanted = int(tokens[0].value)
    if wanted < 1:
        raise ValueError("give 1 second or more")
    return wanted


def socket_path(kind: Any, tokens: Sequence[Any]) -> Path:
    """Convert what was typed to a path."""
    return Path(tokens[0].value)


Source = Annotated[
    str, Parameter(help="A network file, or the name of a shipped network: madrid, randstad, ring.")
]
Name = Annotated[
    str | None, Parameter(help="Name of the network; may be left out when only one is up, else madrid.")
]
StateDir = Annotated[
    Path | None, Parameter(help="Folder of the network's state, instead of the default by its name.")
]
Json = Annotated[bool, Parameter(help="Print one JSON document instead of tables.")]
Force = Annotated[bool, Parameter(help="Overwrite files that are there.")]
InitialBits = Annotated[
    int | None, Parameter(help="Bits placed on every link at the start, booked as provisioned; 0 for none.")
]
Seed = Annotated[
    int | None, Parameter(help="Seed of everything drawn; its keys are not secret. Default: the file's.")
]
Listen = Annotated[str, Parameter(help="Address at which the KMEs listen.")]
HostName = Annotated[
    tuple[str, ...],
    Parameter(
        help="Name or address at which clients reach the KMEs: certified by the demo CA, and the first one "
        "stands in URLs. May be given again."
    ),
]
CertDir = Annotated[
    Path | None,
    Parameter(
        help="Folder of certificates of your own: kme/SITE.pem and kme/SITE.key, ca.pem, and the SAEs' "
        "under sae/ if you like. Remembered for the next `up`; the state folder's own `pki` goes back to the "
        "demo CA's."
    ),
]
Ca = Annotated[Path | None, Parameter(help="CA (PEM) of your own, with --cert-dir; default: its ca.pem.")]
WaitForKeys = Annotated[
    bool | int | None,
    Parameter(
        converter=seconds,
        metavar="[SECONDS]",
        help="Return only when every session of the file has keys at both ends; after so many seconds (60) "
        "with exit code 3 and why. With --detach the network then stays up.",
    ),
]
Gate = Annotated[
    bool | Path | None,
    Parameter(
        converter=socket_path,
        metavar="[PATH]",
        help="Let a program drive time by JSON lines: on standard input and output, or on a Unix socket made "
        "at this path.",
    ),
]
LogEvents = Annotated[bool, Parameter(help="Keep the event log in the state folder.")]
Target = Annotated[
    str,
    Parameter(
        help="A link or fibre (`a-b`, `fibre/a-b`); to cut also `a-b/distillation`, `a-b/relay`, "
        "`management/SITE`; to replay one of these channels; a node to tamper with its memories."
    ),
]
Network = Annotated[str | None, Parameter(name="--network", help="Name of the network, as for `inspect`.")]
