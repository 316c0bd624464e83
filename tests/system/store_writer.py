"""Commit numbered rows to a store for ever, and print each number once it is acknowledged."""

import os
import sys
import threading
from functools import partial
from pathlib import Path

from qstrata.core.effects import Put
from qstrata.core.secrets import KeyMaterial
from qstrata.store.records import BlockBits, SessionMark
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore

IN_FLIGHT = 16


def bits(number: int) -> bytes:
    return number.to_bytes(8, "big") * 4


def rows(number: int) -> tuple[Put, ...]:
    """Return two rows that belong together: a block of the number, and the count so far."""
    block = BlockBits(link="a-b", number=number, bits=KeyMaterial(bits(number)))
    return Put(block), Put(SessionMark(session="s", next_sequence=number + 1))


def main(folder: Path, first: int) -> None:
    window = threading.Semaphore(IN_FLIGHT)

    def acknowledge(number: int) -> None:
        os.write(1, b"%d\n" % number)
        window.release()

    store = SqliteStore(folder / "ledger.db", FileKeyProvider(folder / "key"), lambda error: os._exit(3))
    number = first
    while True:
        window.acquire()
        store.commit("node", rows(number), partial(acknowledge, number))
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
