"""What another policy makes of units that live: kept, given other figures, opened anew, or closed."""

from qstrata.core.effects import Effect
from qstrata.fabric.messages.policy import ServicePolicy
from qstrata.planes.admission import Refusal
from qstrata.strata.service.control.lives import Lives
from qstrata.strata.service.control.supply import Supply
from qstrata.strata.service.control.units import Unit, UnitPhase, pair_key


def revise(lives: Lives, supply: Supply, before: ServicePolicy | None, now: int) -> list[Effect]:
    """Let every unit follow the policy that `lives` has now; `before` is the one it had.

    The least disturbing that serves is done: a unit that may stay stays, rates, depth and limits change in
    place, another key size opens it anew. Declared units that drain are let go, so that they may be opened.
    """
    effects: list[Effect] = []
    kept = {pair_key(spec.a, spec.b) for spec in lives.policy.sessions}
    undeclared = (
        {pair_key(spec.a, spec.b) for spec in before.sessions} - kept if before is not None else set()
    )
    for unit in list(lives.units.live.values()):
        key = pair_key(unit.pair.a, unit.pair.b)
        pair = lives.pairing.admit(unit.pair.a, unit.pair.b) if lives.pairing is not None else unit.pair
        if isinstance(pair, Refusal):
            effects += _end(lives, unit, "policy no longer allows the pair", now)
        elif key in undeclared:
            effects += _end(lives, unit, "its session is no longer declared", now)
        elif unit.phase is UnitPhase.DRAINING:
            effects += lives.renew(unit, now) if key in kept else []
        elif pair != unit.pair or _needs_another(lives, unit):
            effects += _begin_again(lives, unit, now)
        else:
            effects += _adjust(lives, supply, unit, now)
    return effects


def _end(lives: Lives, unit: Unit, reason: str, now: int) -> list[Effect]:
    if unit.phase is UnitPhase.PROPOSED:
        return lives.decide(unit, reason, now)
    return lives.close(unit, reason, now) if unit.serves else []


def _begin_again(lives: Lives, unit: Unit, now: int) -> list[Effect]:
    if unit.phase is UnitPhase.PROPOSED:
        return lives.decide(unit, "its figures have changed: ask again", now)
    return lives.renew(unit, now)


def _needs_another(lives: Lives, unit: Unit) -> bool:
    """Tell whether a unit cannot take its figures over: keys have one size, admission was for one rate."""
    figures = lives.figures_of(unit.pair)
    other_rate = figures.rate_keys_per_s != unit.rate_keys_per_s
    verified = lives.policy.admission and len(unit.sites) > 1
    return figures.size_bits != unit.size_bits or (other_rate and verified)


def _adjust(lives: Lives, supply: Supply, unit: Unit, now: int) -> list[Effect]:
    figures = lives.figures_of(unit.pair)
    held = (unit.depth, unit.request_rate_keys_per_s, unit.burst_keys)
    rate = unit.rate_keys_per_s
    unit.depth = -(-figures.depth // len(unit.sites))
    unit.take_figures(figures)
    effects: list[Effect] = []
    if held != (unit.depth, unit.request_rate_keys_per_s, unit.burst_keys):
        for site in unit.sites:
            effects += lives.ask_open(unit, site, now)
    return [*effects, *(supply.say(unit, unit.sites, now) if rate != unit.rate_keys_per_s else [])]
