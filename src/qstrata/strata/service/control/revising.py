"""What another policy makes of units that live: kept, given other figures, opened anew, or closed."""

from qstrata.core.effects import Effect
from qstrata.fabric.messages.policy import ServicePolicy, SessionSpec
from qstrata.planes.admission import Refusal
from qstrata.strata.service.control.agreements import Agreements
from qstrata.strata.service.control.lives import Lives
from qstrata.strata.service.control.units import Figures, Unit, UnitPhase, pair_key


def revise(lives: Lives, agreements: Agreements, before: ServicePolicy | None, now: int) -> list[Effect]:
    """Let every unit follow the policy that `lives` has now; `before` is the one it had.

    The least disturbing that serves is done: a unit that may stay stays, rates, depth and limits change in
    place, another key size opens it anew. Declared units that drain are let go, so that they may be opened.
    """
    if before is None:
        return []
    effects: list[Effect] = []
    figures, kept = (
        {spec_key(spec): spec for spec in before.sessions},
        set(map(spec_key, lives.policy.sessions)),
    )
    undeclared = figures.keys() - kept
    for unit in list(lives.units.live.values()):
        key = pair_key(unit.pair.a, unit.pair.b)
        pair = lives.pairing.admit(unit.pair.a, unit.pair.b) if lives.pairing is not None else unit.pair
        if isinstance(pair, Refusal):
            effects += _end(lives, unit, "policy no longer allows the pair", now)
        elif key in undeclared:
            effects += _end(lives, unit, "its session is no longer declared", now)
        elif unit.phase is UnitPhase.DRAINING:
            effects += lives.renew(unit, now) if key in kept else []
        elif pair != unit.pair:
            effects += _begin_again(lives, unit, now)
        else:
            effects += _refigure(lives, agreements, unit, figures.get(key, before.defaults), now)
    return effects


def spec_key(spec: SessionSpec) -> tuple[str, str]:
    """Return what identifies the pair of a declared session."""
    return pair_key(spec.a, spec.b)


def _end(lives: Lives, unit: Unit, reason: str, now: int) -> list[Effect]:
    if unit.phase is UnitPhase.PROPOSED:
        return lives.refuse(unit, reason, now)
    return lives.close(unit, reason, now) if unit.serves else []


def _begin_again(lives: Lives, unit: Unit, now: int) -> list[Effect]:
    if unit.phase is UnitPhase.PROPOSED:
        return lives.refuse(unit, "its figures have changed: ask again", now)
    return lives.renew(unit, now)


def _refigure(lives: Lives, agreements: Agreements, unit: Unit, old: Figures, now: int) -> list[Effect]:
    """Let a unit take over what is asked of it now, where that differs from what was."""
    new = lives.figures_of(unit.pair)
    other_rate = new.rate_keys_per_s != old.rate_keys_per_s
    limits = (new.depth, new.request_rate_keys_per_s, new.burst_keys)
    other_limits = limits != (old.depth, old.request_rate_keys_per_s, old.burst_keys)
    verified = lives.policy.admission and len(unit.sites) > 1
    # Keys of a session have one size, and it was admitted for one rate.
    if not other_rate and not other_limits and new.size_bits == old.size_bits:
        return []
    if new.size_bits != old.size_bits or (other_rate and verified) or not unit.serves:
        return _begin_again(lives, unit, now)
    unit.depth = -(-new.depth // len(unit.sites))
    unit.take_figures(new)
    effects: list[Effect] = []
    for site in unit.sites if other_limits else ():
        effects += lives.ask_open(unit, site, now)
    return [*effects, *(agreements.ask_rate(unit, now) if other_rate else [])]
