"""Load a network: a file, or the name of a shipped one; everything that is wrong is told in one run."""

from collections.abc import Collection
from os import PathLike
from pathlib import Path

from msgspec import inspect

from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.description import Description, checked
from qstrata.network.document import MAX_FILE_BYTES, DescriptionError, Place, Problem, View
from qstrata.network.engine_names import check_engines, check_rates, with_paths
from qstrata.network.entries import NetworkFile, complete
from qstrata.network.figures import check_figures
from qstrata.network.meaning import check_references
from qstrata.network.mending import mend
from qstrata.network.parsing import parse
from qstrata.network.protocol_checks import check_protocols
from qstrata.network.shape import read
from qstrata.network.shipped import shipped_names, shipped_text

_WANTED = inspect.type_info(NetworkFile)


def load(
    path_or_name: str | PathLike[str], *, unrouted: bool = False, without: Collection[str] = ()
) -> Description:
    """Load the network in a file, or the shipped one of that name; all else as for `load_text`.

    A text without a folder and without `.yaml` or `.yml` is a shipped name first, then a file. Raises
    DescriptionError (an InputError) with every problem as `file:line:column: message`, InputError for a
    name or file that is not there, EnvironmentFaultError for a file that cannot be read.
    """
    given = str(path_or_name)
    path = Path(given)
    bare = isinstance(path_or_name, str) and path.name == given and path.suffix not in (".yaml", ".yml")
    if bare and (given in shipped_names() or not path.is_file()):
        return load_text(shipped_text(given), f"{given}.yaml", unrouted=unrouted, without=without)
    return load_text(text_of(path), given, unrouted=unrouted, without=without)


def load_text(
    text: str, source: str, *, unrouted: bool = False, without: Collection[str] = ()
) -> Description:
    """Load a network from YAML text; `source` is what its problems call it. Raises DescriptionError.

    With `unrouted`, circuits that say only their ends have no path yet; otherwise they get one over none of
    the links `without`. Raises InputError for such a link that is not there.
    """
    tree, problems = parse(text)
    if tree is None:
        raise DescriptionError(source, text, problems)
    tree, misspelt = mend(tree, _WANTED)
    data, faults = read(tree, _WANTED)
    root = View(tree)
    folder = Path(source).parent
    problems = [
        *misspelt,
        *faults,
        *check_references(root),
        *check_protocols(root),
        *check_engines(root, folder),
        *check_figures(root),
    ]
    if problems:
        raise DescriptionError(source, text, problems)
    description = checked(with_paths(complete(data), folder))
    if problems := check_rates(root, description):
        raise DescriptionError(source, text, problems)
    return description if unrouted else _routed(root, description, source, text, without)


def _routed(
    root: View, description: Description, source: str, text: str, without: Collection[str]
) -> Description:
    if not description.circuits:
        return description
    from qstrata.network.circuit_service import check_service

    problems: list[Problem] = []
    if without or not all(circuit.path for circuit in description.circuits):
        from qstrata.network.pair_routing import routed

        description, problems = routed(root, description, without)
    if problems := problems or check_service(root, description):
        raise DescriptionError(source, text, problems)
    return description


def text_of(path: Path, what: str = "network") -> str:
    """Return the text of a YAML file; `what` it describes is what problems call it.

    Raises InputError for one that is not there, too large or not UTF-8, EnvironmentFaultError for one that
    cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as fault:
        raise InputError(f"there is no file `{path}`; give the path of a {what} file, or a name") from fault
    except OSError as fault:
        raise EnvironmentFaultError(f"the file `{path}` cannot be read: {fault.strerror}") from fault
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"the file `{path}` is larger than {MAX_FILE_BYTES} bytes; no {what} needs that")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        before = data[: fault.start]
        place = Place(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        shown = data.decode("utf-8", errors="replace")
        raise DescriptionError(str(path), shown, [Problem(place, "this is not UTF-8; save it so")]) from fault
