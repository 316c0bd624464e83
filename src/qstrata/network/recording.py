"""Record blocks of a link as the native engine makes them, for the engine `trace:FILE`."""

from collections.abc import Iterator

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.network.description import Description, Link
from qstrata.network.traces import TraceHead, write_trace
from qstrata.physics.tallies import Tally
from qstrata.twin.contract import LinkTask
from qstrata.twin.native import NativeEngine

MAX_BLOCKS = 100_000


def recorded_lines(description: Description, name: str, blocks: int, seed: int) -> Iterator[str]:
    """Yield the lines of a trace of the healthy link `name`: so many blocks, counted as at level `counts`.

    Raises InputError for a link that is not there, and for a number of blocks that is not 1 to 100000.
    """
    links = {link.name: link for link in description.links}
    if name not in links:
        raise InputError(f"no link for keys is called {name!r}: there are {', '.join(links)}")
    if not 1 <= blocks <= MAX_BLOCKS:
        raise InputError(f"a trace of {blocks} blocks: give 1 to {MAX_BLOCKS}")
    link = links[name]
    head = TraceHead(trace=1, protocol=link.protocol, pulse_rate_hz=link.link_parameters.pulse_rate_hz)
    return write_trace(head, _blocks(link, blocks, seed))


def _blocks(link: Link, blocks: int, seed: int) -> Iterator[tuple[float, Tally]]:
    block_ps = link.block_s * PS_PER_S
    engine = NativeEngine(
        LinkTask(
            link=link.name,
            parameters=link.link_parameters,
            length_km=link.length_km,
            block_ps=block_ps,
            period_ps=block_ps,
            first_block=1,
            seed=seed,
            key_bits=lambda block: stream(seed, link.name, block),
        )
    )
    engine.begin(0)
    while blocks:
        window = engine.advance()
        if window.total is not None:
            blocks -= 1
            yield to_seconds(block_ps), window.total
