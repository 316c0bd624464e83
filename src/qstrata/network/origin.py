"""What a network keeps between its runs beside its ledger: when its time began, and the salt of digests."""

import secrets
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from qstrata.core.effects import Record
from qstrata.core.errors import EnvironmentFaultError
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S, PS_PER_US, EpochAnchor, wall_clock_ns
from qstrata.network.state import StatePaths, write_private
from qstrata.store.records import BlockState, KmeRegistry, TransferLeg

SALT_BYTES = 32

_PS_PER_NS = 1_000
_NS_PER_S = 1_000_000_000


class Origin(msgspec.Struct, frozen=True):
    """When the network's time began (Unix seconds), how often it was started, and how far its time came."""

    epoch_s: int
    starts: int = 0
    reached_ps: int = 0

    @property
    def anchor(self) -> EpochAnchor:
        """Return the tie of the network's time to the calendar."""
        return EpochAnchor(self.epoch_s)

    def start_ps(self, records: Iterable[Record]) -> int:
        """Return the instant at which a run begins: by the calendar, and after all that its ledger knows."""
        calendar_ps = wall_clock_ns() * _PS_PER_NS - self.epoch_s * PS_PER_S
        return max(calendar_ps, self.reached_ps, *(_instant(record) + 1 for record in records), 0)

    def seed(self, seed: int | None) -> int | None:
        """Return the seed of this start: the given one at first, then others, so that no draw comes twice."""
        if seed is None or self.starts <= 1:
            return seed
        digest = blake2b(f"{seed}/{self.starts}".encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big")


def next_origin(paths: StatePaths) -> Origin:
    """Count a start: return the origin of a network, new at the first; raises EnvironmentFaultError."""
    path = paths.data / "origin.json"
    try:
        held = msgspec.json.decode(path.read_bytes(), type=Origin)
    except FileNotFoundError:
        held = Origin(wall_clock_ns() // _NS_PER_S)
    except (OSError, msgspec.DecodeError) as fault:
        raise EnvironmentFaultError(
            f"{path} cannot be read, and without it the ages of keys are unknown: bring it back from a backup"
        ) from fault
    origin = msgspec.structs.replace(held, starts=held.starts + 1)
    keep_origin(paths, origin)
    return origin


def keep_origin(paths: StatePaths, origin: Origin) -> None:
    """Write the origin down; raises EnvironmentFaultError when the disk refuses."""
    write_private(paths.data / "origin.json", msgspec.json.encode(origin) + b"\n")


def salt_of(paths: StatePaths, seed: int | None) -> bytes:
    """Return the salt of digests: of the seed where there is one, else kept beside the sealing key."""
    if seed is not None:
        return stream(seed, "salt").bytes(SALT_BYTES)
    path = paths.sealing_key.with_name("salt")
    try:
        salt = path.read_bytes()
    except FileNotFoundError:
        salt = secrets.token_bytes(SALT_BYTES)
        write_private(path, salt)
    if len(salt) != SALT_BYTES:
        raise EnvironmentFaultError(
            f"the salt {path} is not {SALT_BYTES} bytes long: bring it back from a backup"
        )
    return salt


def _instant(record: Record) -> int:
    if isinstance(record, KmeRegistry):
        # Its serial follows the clock in microseconds, and a KME ignores what is not above it.
        return (record.serial + 1) * PS_PER_US
    if isinstance(record, BlockState):
        return record.made_ps
    return record.at_ps if isinstance(record, TransferLeg) else -1
