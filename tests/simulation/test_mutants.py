"""The checker is proved by mutants of the running code: each must be reported, by the rule it breaks."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.planes import places
from qstrata.testing.rules import RULES
from tests.simulation.crash_mutants import MUTANTS, Mutant
from tests.simulation.crash_world import LINE, SAES, Point, World
from tests.simulation.test_pair_alarms import RULES_WITH_MUTANTS as RULES_OF_PAIRS
from tests.simulation.test_quarantine_crashes import RULES_WITH_MUTANTS

TTL_S = 30
THIEF = "urn:qkd:lab:c:sae"
WITH_THIEF = LINE.replace("sessions:", f'  - {{name: "{THIEF}", node: b}}\nsessions:')
SHORT_LIVED = LINE.replace("depth-keys: 24", f"depth-keys: 24, ttl-s: {TTL_S}")
SPENT = Point("keep-then-crash", 0, "a", "block,transfer")
RESERVED = Point("keep-then-crash", 0, "a", "batch,key,mark")
PLACED = Point("lose", 0, "b", "key,mark")
LATER = Point("deliver", 0, "a", "PoolMark")
RELAYED = Point("deliver", 0, "r", "Relay a/relay")
ANSWERED = Point("deliver", 0, "a", "TransferSettled")


def crashed_at(point: Point) -> Callable[[], World]:
    return lambda: World(point)


def with_thief() -> World:
    world = World(text=WITH_THIEF)
    world.fetchers = {**SAES, "b": THIEF}
    return world


def fetched_too_late() -> World:
    world = World(text=SHORT_LIVED)
    world.tell_ps = (TTL_S + 10) * PS_PER_S
    return world


def fetched_twice() -> World:
    world = World()
    world.fetches = 2
    return world


def reconnected() -> World:
    """Return a world in which the relay at b is reconnected again and again, and hears the last twice."""
    world = World(mischief=Mischief(seed=1))
    address = places.relay("lab", "b")
    assembly = world.sim.assembly

    def reconnect() -> None:
        for element in assembly.host.elements("b"):
            if element.address == address:
                assembly.fabric.attach(address, assembly.host.receiver(element))
        assembly.queue.push(world.now + 50 * PS_PER_MS, reconnect)

    assembly.queue.push(PS_PER_S, reconnect)
    return world


WORLDS: dict[str, Callable[[], World]] = {
    "offsets behind followed again": reconnected,
    "spent gap allocated again": crashed_at(SPENT),
    "spent gap not burnt": crashed_at(SPENT),
    "void keys kept": crashed_at(ANSWERED),
    "placed before durable": crashed_at(PLACED),
    "ready without answer": crashed_at(RELAYED),
    "reserved batch revived": crashed_at(RESERVED),
    "delivery never marked": crashed_at(LATER),
    "dec gives a key twice": fetched_twice,
    "anybody fetches": with_thief,
    "expired key revived": fetched_too_late,
}


def rules_broken(world: World) -> set[str]:
    assert world.point is None or world.crashed_ps >= 0
    return {violation.rule for violation in world.judged().violations}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_mutant_is_reported_by_the_rule_it_breaks(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.install(monkeypatch)
    world = WORLDS.get(mutant.name, World)()
    with suppress(Exception):  # what a mutant did until it fell over its own fault is judged all the same
        world.play()
    assert mutant.rule in rules_broken(world)


@pytest.mark.parametrize("name", ["none", *WORLDS])
def test_unchanged_code_breaks_no_rule_where_its_mutants_do(name: str) -> None:
    world = WORLDS.get(name, World)()
    world.play()
    assert not rules_broken(world)


def test_every_rule_has_a_mutant() -> None:
    shown = {mutant.rule for mutant in MUTANTS} | RULES_WITH_MUTANTS | RULES_OF_PAIRS
    assert shown == {rule.id for rule in RULES}
