"""The errors of qstrata: each type says whose fault it is, each text says what to do."""


class QstrataError(Exception):
    """Base of every error that qstrata raises on purpose."""


class InputError(QstrataError):
    """What the caller gave is wrong; the text names the place, the allowed range and the cure."""


class RefusedError(QstrataError):
    """A rule of the architecture forbids it: an arrow that is not drawn, a scope, a policy."""


class EnvironmentFaultError(QstrataError):
    """The machine is at fault: a port in use, a disk that refuses, a missing permission."""


class PortInUseError(EnvironmentFaultError):
    """Another process listens on the TCP port `port`."""

    def __init__(self, text: str, port: int) -> None:
        super().__init__(text)
        self.port = port


class SealedError(EnvironmentFaultError):
    """The store cannot be opened with the sealing key that was given."""


class StoreFaultError(EnvironmentFaultError):
    """A durable write failed; nothing may be acknowledged any more, the process must stop."""


class InternalError(QstrataError):
    """An invariant of qstrata itself is broken; what happened goes to the log, not outside."""
