"""The crash log: where tracebacks go, since none reaches a user."""

import asyncio
import logging
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qstrata.core.errors import InternalError, QstrataError

_LOGGERS = ("qstrata", "aiohttp", "asyncio")


class CrashLog:
    """Collect faults that nobody expected in a file; while entered, also what loggers and the loop report."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handler = logging.FileHandler(path, encoding="utf-8", delay=True)
        self._handler.setLevel(logging.ERROR)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))

    def __enter__(self) -> Self:
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self._handler)
        asyncio.get_running_loop().set_exception_handler(self._of_loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().set_exception_handler(None)
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self._handler)
        self._handler.close()

    @staticmethod
    def expects(error: BaseException) -> bool:
        """Tell whether an error was raised on purpose and its text says it all."""
        return isinstance(error, QstrataError) and not isinstance(error, InternalError)

    def write(self, error: BaseException) -> None:
        """Write an error with its traceback; no frame's variables, which may hold keys."""
        text = "".join(traceback.format_exception(error))
        record = logging.LogRecord("qstrata", logging.ERROR, __file__, 0, text, None, None)
        self._handler.handle(record)

    def _of_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError):
            # Peers that vanish, and TLS handshakes that fail (ssl.SSLError is an OSError), are their fault.
            return
        if error is not None:
            self.write(error)
