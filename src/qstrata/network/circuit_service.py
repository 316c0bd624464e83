"""What the circuits of a network can be expected to give, held against what the file wants of them.

Fidelity and time are what a circuit is asked for (RFC 9340, 4.4 and 5.1). What cannot be expected is refused
where it is written, with what would help: a shorter cut-off, distillation, asking more often.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain

import msgspec

from qstrata.core.time import to_seconds
from qstrata.network.description import Description
from qstrata.network.document import Problem, View
from qstrata.network.pair_plan import cutoff_at_end_ps, links_of
from qstrata.network.pair_routing import network_of
from qstrata.network.pair_tables import (
    MAX_CUTOFF_MS,
    MAX_PAIRS_PER_S,
    MAX_ROUNDS,
    Circuit,
    Distil,
)
from qstrata.planes.pair_expectation import Expectation, expect
from qstrata.planes.pair_pumping import EndPumping, pumped
from qstrata.planes.pair_routes import PairPath, Resources

CUTOFFS_TRIED = 24
"""So many cut-offs are tried as cures, each two thirds of the one before."""

LEAST_SHARE = 0.05
"""What leaves less than so much of the rate is no cure."""

ROUNDING = 1e-9


@lru_cache(maxsize=4)
def expectations(description: Description) -> dict[str, Expectation]:
    """Return what every circuit can be expected to give, by name."""
    resources = Resources(network_of(description))
    return {
        circuit.name: _expected(description, resources, circuit)
        for circuit in description.circuits
        if circuit.path
    }


def check_service(root: View, description: Description) -> list[Problem]:
    """Return the circuits that want more than can be expected."""
    views = {view.get("name").text: view for view in root.get("circuits").items()}
    asks = [circuit for circuit in description.circuits if circuit.path and _asks(circuit)]
    if not asks:
        return []
    resources = Resources(network_of(description))
    problems = (_check(views[circuit.name], description, resources, circuit) for circuit in asks)
    return list(chain.from_iterable(problems))


_WANTS = ("fidelity", "within-ms", "distil")


def _asks(circuit: Circuit) -> bool:
    return circuit.fidelity is not None or circuit.within_ms is not None or circuit.distil is not None


def _expected(description: Description, resources: Resources, circuit: Circuit) -> Expectation:
    links = links_of(description, circuit)
    path = PairPath(circuit.path, tuple(link.name for link in links))
    cutoff_s = to_seconds(circuit.cutoff_ps) if circuit.cutoff_ps else math.inf
    raw = expect(resources, path, circuit.pairs_per_s, cutoff_s)
    if circuit.distil is None:
        return raw
    pumping = EndPumping(
        protocol=circuit.distil.distillation,
        rounds=circuit.distil.rounds,
        round_s=1.0 / circuit.pairs_per_s,
        cutoff_s=to_seconds(cutoff_at_end_ps(links, circuit)) if circuit.cutoff_ps else math.inf,
    )
    return pumped(raw, pumping, (resources.nodes[circuit.path[0]], resources.nodes[circuit.path[-1]]))


def _check(view: View, description: Description, resources: Resources, circuit: Circuit) -> Iterator[Problem]:
    def of(tried: Circuit) -> Expectation:
        return _expected(description, resources, tried)

    found = of(circuit)
    if not found.rate_per_s and not of(msgspec.structs.replace(circuit, cutoff_ms=None)).rate_per_s:
        at = next(view.get(key) for key in _WANTS if view.get(key).tree is not None)
        yield Problem(at.place, "no pair can be expected of this circuit: a link of it heralds none")
    elif not found.rate_per_s:
        longer_ms = _longer_ms(circuit, of)
        message = (
            f"no pair outlives this cut-off: half of one waits for heralds, for words of the other end, and "
            f"for those that better it, asked for every {1000.0 / circuit.pairs_per_s:g} ms; "
            f"give {longer_ms} ms"
        )
        yield Problem(view.get("cutoff-ms").place, message, longer_ms)
    elif circuit.fidelity is not None and found.fidelity < circuit.fidelity:
        cure, gives = _cure(circuit, _for_fidelity(circuit), of)
        message = (
            f"a fidelity of {circuit.fidelity:g} is wanted, but {_down(found.fidelity)} can be expected"
            f"{gives or '; no cut-off and no distillation is enough: use better links or memories'}"
        )
        yield Problem(view.get("fidelity").place, message, cure)
    elif found.rate_per_s < circuit.wanted_per_s * (1.0 - ROUNDING):
        cure, gives = _cure(circuit, _for_time(circuit), of)
        message = (
            f"a pair in {circuit.within_ms:g} ms is wanted, but one in {1000.0 / found.rate_per_s:.4g} ms "
            f"can be expected{gives or ': use faster links, or distil less'}"
        )
        yield Problem(view.get("within-ms").place, message, cure)


def _longer_ms(circuit: Circuit, of: Callable[[Circuit], Expectation]) -> str:
    """Return a cut-off that some pairs outlive."""
    cutoff_ms = circuit.cutoff_ms or 1.0
    while cutoff_ms < MAX_CUTOFF_MS:
        cutoff_ms = min(MAX_CUTOFF_MS, float(f"{cutoff_ms * 1.5:.2g}"))
        if of(msgspec.structs.replace(circuit, cutoff_ms=cutoff_ms)).rate_per_s:
            break
    return f"{cutoff_ms:g}"


def _for_fidelity(circuit: Circuit) -> Iterator[tuple[str, Circuit]]:
    """Yield what may raise the fidelity, and the circuit with it: cut-offs, then distillation, then both."""
    yield from _cut("", circuit)
    own = circuit.distil
    for rounds in range(own.rounds if own is not None else 1, MAX_ROUNDS + 1):
        for protocol in dict.fromkeys((own.protocol if own is not None else "dejmps", "dejmps")):
            distil = Distil(protocol=protocol, rounds=rounds)
            if distil == own:
                continue
            said = f"distil: {{protocol: {protocol}, rounds: {rounds}}}"
            changed = msgspec.structs.replace(circuit, distil=distil)
            yield said, changed
            yield from _cut(f"{said}, ", changed)


def _cut(said: str, circuit: Circuit) -> Iterator[tuple[str, Circuit]]:
    """Yield a circuit with shorter and shorter cut-offs."""
    rounds = circuit.distil.rounds if circuit.distil is not None else 0
    longest_ms = min(1.5 * MAX_CUTOFF_MS, 16_000.0 * (rounds + 1) / circuit.pairs_per_s)
    cutoff_ms = circuit.cutoff_ms or longest_ms
    for _ in range(CUTOFFS_TRIED):
        cutoff_ms = float(f"{cutoff_ms * 2.0 / 3.0:.2g}")
        yield f"{said}cutoff-ms: {cutoff_ms:g}", msgspec.structs.replace(circuit, cutoff_ms=cutoff_ms)


def _for_time(circuit: Circuit) -> Iterator[tuple[str, Circuit]]:
    """Yield what may raise the rate, and the circuit with it: it may be asked more often."""
    often = circuit.pairs_per_s
    while often < MAX_PAIRS_PER_S:
        often = min(MAX_PAIRS_PER_S, float(f"{often * 1.25:.2g}"))
        yield f"pairs-per-s: {often:g}", msgspec.structs.replace(circuit, pairs_per_s=often)


def _cure(
    circuit: Circuit, tries: Iterator[tuple[str, Circuit]], of: Callable[[Circuit], Expectation]
) -> tuple[str, str]:
    """Return the first of what may help that gives all that is wanted, and what it gives; empty for none."""
    least_per_s = max(circuit.wanted_per_s, LEAST_SHARE * of(circuit).rate_per_s)
    for said, tried in tries:
        found = of(tried)
        if found.fidelity >= (circuit.fidelity or 0.0) and found.rate_per_s >= least_per_s:
            return said, f"; `{said}` gives {_down(found.fidelity)}, {found.rate_per_s:.3g} pairs/s"
    return "", ""


def _down(fidelity: float) -> str:
    """Write a fidelity with three digits, never more than it is."""
    return f"{math.floor(fidelity * 1000.0) / 1000.0:.3f}"
