"""A disk under SQLite that can lose its power, refuse, or lie about syncing: a VFS over the real one."""

from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np

SECTOR_BYTES = 512

Write = tuple[int, bytes]


class FileState:
    """What of one file is safe, and what was written since the last sync; a `bytes()` write truncates."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.pending: list[Write] = []

    def sync(self) -> None:
        for write in self.pending:
            _apply(self.synced, write)
        self.pending.clear()

    def after_power_cut(self, draw: np.random.Generator) -> bytes:
        """Return the synced bytes with a random part of the unsynced sectors and truncations."""
        image = bytearray(self.synced)
        for offset, data in self.pending:
            if not data:
                if draw.integers(2):
                    _apply(image, (offset, data))
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if draw.integers(2):
                    _apply(image, (offset + start, data[start : start + SECTOR_BYTES]))
        return bytes(image)


def _apply(image: bytearray, write: Write) -> None:
    offset, data = write
    if not data:
        del image[offset:]
        return
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """Register as `name`; call `before(operation)` ahead of every write, truncation and sync."""

    def __init__(self, name: str, *, lies: bool = False) -> None:
        super().__init__(name, "")
        self.name = name
        self.lies = lies
        self.files: dict[str, FileState] = {}
        self.operations: list[str] = []
        self.before: Callable[[str], None] = lambda operation: None

    def note(self, operation: str) -> None:
        self.operations.append(operation)
        self.before(operation)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "DiskFile":
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        return DiskFile(self, path, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:
        self.files.pop(name, None)
        super().xDelete(name, syncdir)

    def cut_power(self, folder: Path, draw: np.random.Generator) -> None:
        """Write into `folder` what would be found after a power cut at this instant."""
        folder.mkdir()
        for name, state in self.files.items():
            (folder / Path(name).name).write_bytes(state.after_power_cut(draw))


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._state = disk.files.setdefault(path, FileState())

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.note("write")
        super().xWrite(data, offset)
        self._state.pending.append((offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        self._disk.note("truncate")
        super().xTruncate(size)
        self._state.pending.append((size, b""))

    def xSync(self, flags: int) -> None:
        self._disk.note("sync")
        if not self._disk.lies:
            self._state.sync()
