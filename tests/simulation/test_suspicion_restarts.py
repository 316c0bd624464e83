"""Telemetry and control that start anew forget no suspect window, and set no block aside that had passed."""

from typing import Any

import pytest

from qstrata.core.time import PS_PER_S
from tests.simulation.looking import run
from tests.simulation.suspect_world import LINK, SITES, SuspectWorld

BLOCK_S = 4
EVERY = 24
ASKED_PS = 22 * PS_PER_S
"""SAEs ask until then, so that pools are full of keys when blocks are suspected."""
TOLD = (
    "ForwardingReport",
    "KeepVerdicts",
    "VerdictsKept",
    "QuarantineBlocks",
    "BlocksQuarantined",
    "KeysSuspected",
    "QuarantineKeys",
    "KeysQuarantined",
    "SuspectsHeard",
    "SuspicionSettled",
)


class RestartWorld(SuspectWorld):
    """A world whose control node stops in place of hearing, or letting others hear, the `at`-th such message.

    While `deaf` relays hear of no suspect window.
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.heard = 0
        self.deaf = False
        super().__init__()

    def _before_deliver(self, handle: Any, message: Any) -> bool:
        name = type(message).__name__
        if self.deaf and name == "QuarantineBlocks":
            return False
        if self._open and name in TOLD and (name != "ForwardingReport" or message.suspicions):
            self.heard += 1
            if self.heard == self.at:
                self.stop("control")
                return False
        return True

    def stop(self, *nodes: str, down_s: float = 1.0) -> None:
        """Stop nodes at this instant, and start them again."""
        self.crashed_ps = self.sim.queue.now
        for node in nodes:
            self.sim.crash(node)
            self.sim.queue.push(self.crashed_ps + round(down_s * PS_PER_S), self.sim.restart, node)

    def _ask(self, sae: str, peer: str) -> None:
        if self.sim.queue.now < ASKED_PS:
            super()._ask(sae, peer)

    def attack(self, seconds: float = 6.0) -> None:
        self._do(self.sim.assembly.inject, "intercept-resend", LINK, 0.2)
        run(self.sim, seconds)
        self._do(self.sim.assembly.heal, "intercept-resend", LINK)

    def attack_unheard(self) -> None:
        """Attack while nobody hears the instruments: keys that suspect blocks mask are pooled."""
        self.deaf = True
        for site in SITES:
            self._do(self.sim.assembly.inject, "cut", f"management/{site}", 1.0)
        self._do(self.sim.assembly.inject, "intercept-resend", LINK, 0.05)
        run(self.sim, 11)
        for site in SITES:
            self._do(self.sim.assembly.heal, "cut", f"management/{site}")
        run(self.sim, 4)
        assert self.is_suspected()
        self._do(self.sim.assembly.heal, "intercept-resend", LINK)

    def is_suspected(self) -> bool:
        if not self.sim.assembly.host.elements("control"):
            return True
        return any("possible attack" in alarm.finding for alarm in self.alarms())

    def until_cleared(self) -> None:
        while self.is_suspected():
            run(self.sim, 0.25)


def faults_of(world: SuspectWorld) -> list[str]:
    found = [f"{one.rule}: {one.text}" for one in world.judged().violations]
    return [*found, *(f"{key} is left" for key in world.left())]


def test_telemetry_that_starts_anew_suspects_no_block_that_had_passed() -> None:
    world = RestartWorld()
    run(world.sim, 7 * BLOCK_S + 2)
    world.stop("control")
    run(world.sim, 2)
    world.attack()
    run(world.sim, 12)
    (first, _), *_ = world.windows()
    assert 6 <= first <= 8
    assert not faults_of(world)


def test_a_window_that_relays_had_not_heard_of_when_it_was_cleared_survives_a_restart_of_control() -> None:
    world = RestartWorld()
    run(world.sim, 13)
    world.attack_unheard()
    world.until_cleared()
    run(world.sim, 0.5)
    assert world.left()
    assert not any(world.quarantined(site) for site in SITES)
    world.stop("control")
    world.deaf = False
    run(world.sim, 20)
    assert not faults_of(world)
    assert all(world.quarantined(site) > 10 for site in SITES)


def test_a_suspicion_stands_again_after_a_restart_and_its_link_is_not_used() -> None:
    world = RestartWorld()
    run(world.sim, 13)
    world.attack(1.6)
    assert world.is_suspected()
    world.stop("control", down_s=0.1)
    run(world.sim, 0.2)
    assert world.is_suspected()
    state = world.sim.report().findings.links[0].state
    run(world.sim, 20)
    assert not world.is_suspected()
    assert state != "active"
    assert not faults_of(world)


@pytest.mark.parametrize("site", SITES)
def test_one_site_that_stops_with_control_takes_no_verdict_with_it(site: str) -> None:
    world = RestartWorld()
    run(world.sim, 13)
    world.attack_unheard()
    world.until_cleared()
    world.stop("control", site)
    world.deaf = False
    run(world.sim, 25)
    assert not faults_of(world)
    assert world.quarantined(next(other for other in SITES if other != site)) > 10


def test_what_is_settled_is_not_imposed_again_after_a_restart() -> None:
    world = RestartWorld()
    run(world.sim, 13)
    world.attack()
    run(world.sim, 90)
    world.sim.recorder.flush()
    before = sum(b"QuarantineBlocks" in line for line in world.lines)
    world.stop("control")
    run(world.sim, 10)
    world.sim.recorder.flush()
    assert sum(b"QuarantineBlocks" in line for line in world.lines) == before


def swept(at: int | None) -> RestartWorld:
    world = RestartWorld(at)
    run(world.sim, 13)
    world._open = True
    world.attack_unheard()
    world.until_cleared()
    world.deaf = False
    run(world.sim, 28)
    return world


def test_control_that_stops_at_a_sampled_message_leaves_no_suspect_key() -> None:
    for at in range(1, swept(None).heard, EVERY):
        world = swept(at)
        assert world.crashed_ps > 0
        assert not faults_of(world), at


@pytest.mark.campaign
def test_control_that_stops_at_any_message_leaves_no_suspect_key() -> None:
    for at in range(1, swept(None).heard):
        assert not faults_of(swept(at)), at
