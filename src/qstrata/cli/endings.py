"""How a command ends: exit codes, and one line on stderr for whatever went wrong."""

import contextlib
import os
import sys
from pathlib import Path

from qstrata.core.errors import InputError, InternalError, QstrataError, RefusedError
from qstrata.network.error_codes import CRASH, MACHINE, code_of

OK, USER, USAGE, ENVIRONMENT, PEER = range(5)
INTERNAL = 70
"""A fault of qstrata itself; EX_SOFTWARE of sysexits.h."""
INTERRUPTED = 130

CODES = (
    "Exit codes: 0 done; 1 what was given is wrong, or a check failed; 2 wrong usage; 3 the machine, or the "
    "network is not up; 4 the other side failed; 70 a fault of qstrata; 130 interrupted."
)


class UsageError(QstrataError):
    """The command was called in a way that has no meaning."""


class PeerError(QstrataError):
    """The other side of a connection did not do its part."""


class CheckFailedError(QstrataError):
    """What was to be checked does not hold."""


class AnsweredError(QstrataError):
    """A running network refused a request, with the exit code and the error code that it gave."""

    def __init__(self, text: str, code: int, error: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.error = error or MACHINE


def exit_code(error: QstrataError) -> int:
    """Return the exit code that says whose fault an error is."""
    match error:
        case AnsweredError():
            return error.code
        case UsageError():
            return USAGE
        case InputError() | RefusedError() | CheckFailedError():
            return USER
        case InternalError():
            return INTERNAL
        case _:
            # Etsi014Error is known by its room: to import it would cost every command the HTTP client.
            return PEER if isinstance(error, PeerError) or _is_foreign(error) else ENVIRONMENT


def told(error: QstrataError) -> str:
    """Return what is said of an error; a list of problems gets a line of its own above it.

    What a KME answered is told with its HTTP status.
    """
    # DescriptionError is known by its list: to import it would cost every command the YAML reader.
    if _is_foreign(error) and hasattr(error, "status"):
        return f"the KME answered {error}" if error.status else str(error).removeprefix("0: ")
    count = len(getattr(error, "problems", ()))
    heading = f"{count} problem{'s' if count > 1 else ''} in the file:\n" if count else ""
    return f"{heading}{error}"


def complain(text: str, code: str) -> None:
    """Say on stderr what went wrong, with the code of the error."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"qstrata: error[{code}]: {text}\n")


def error_code(error: QstrataError) -> str:
    """Return the code of an error; one that a running network answered with is its own."""
    return error.error if isinstance(error, AnsweredError) else code_of(error)


def talk(text: str) -> None:
    """Say something to whoever watches, on stderr."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def crashed(error: BaseException) -> int:
    """Write an unknown error down, say where, and return the exit code."""
    import traceback

    name = type(error).__name__
    try:
        path = _write_crash("".join(traceback.format_exception(error)))
    except OSError:
        complain(f"internal fault, which is ours ({name}), and nowhere could be written what it was", CRASH)
    else:
        complain(f"internal fault, which is ours ({name}): please report it with {path}", CRASH)
    return INTERNAL


def _write_crash(text: str) -> Path:
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix="qstrata-crash-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def _is_foreign(error: QstrataError) -> bool:
    return type(error).__module__.startswith("qstrata.interfaces.")
