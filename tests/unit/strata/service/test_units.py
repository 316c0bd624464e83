"""The state machine of a unit, every state with every event; the identifier; which held session is kept."""

from itertools import product

import pytest

from qstrata.core.randomness import stream
from qstrata.core.service_unit import ServiceUnitId, pairing_token
from qstrata.fabric.messages.policy import SaeSpec, SessionDefaults
from qstrata.fabric.messages.service_control import HeldSession
from qstrata.planes.admission import Refusal, pairing_policy
from qstrata.strata.service.control.units import (
    Unit,
    UnitBook,
    UnitEvent,
    UnitPhase,
    UnitStateError,
    advance,
    best_held,
    propose,
)

P, E = UnitPhase, UnitEvent
# Design 2.3: proposed, negotiated, open, draining, closed / expired / refused.
ALLOWED = {
    (P.PROPOSED, E.ADMITTED, P.NEGOTIATED),
    (P.PROPOSED, E.REFUSED, P.REFUSED),
    (P.NEGOTIATED, E.CONFIRMED, P.OPEN),
    (P.NEGOTIATED, E.CLOSING, P.DRAINING),
    (P.NEGOTIATED, E.EXPIRED, P.EXPIRED),
    (P.OPEN, E.CLOSING, P.DRAINING),
    (P.OPEN, E.EXPIRED, P.EXPIRED),
    (P.DRAINING, E.DRAINED, P.CLOSED),
    (P.DRAINING, E.EXPIRED, P.EXPIRED),
}
BEGIN_S = 1_750_708_345
A, B = "urn:qkd:d:a", "urn:qkd:d:b"
FIGURES = SessionDefaults(size_bits=256, depth=65, rate_keys_per_s=1.0, ttl_s=600)
STRANGE = "urn:xyz:d:b"
POLICY = pairing_policy(
    "d", ((A, B), (A, A), (A, STRANGE)), {A: "a", B: "b", "urn:xyz": "b"}, (SaeSpec(A, "a"), SaeSpec(B, "b"))
)


@pytest.mark.parametrize(("phase", "event"), list(product(UnitPhase, UnitEvent)))
def test_each_state_takes_the_events_of_the_table_and_refuses_all_others_by_name(phase, event):
    after = [row[2] for row in ALLOWED if row[:2] == (phase, event)]
    if after:
        assert advance(phase, event) is after[0]
    else:
        with pytest.raises(UnitStateError, match=phase.value):
            advance(phase, event)


def unit(a=A, b=B, seed=1):
    made = propose(POLICY, a, b, FIGURES, BEGIN_S, stream(seed, "test"))
    assert isinstance(made, Unit)
    return made


def test_a_proposal_names_both_endpoints_and_the_life_and_leaves_the_peers_nonce_open():
    made = unit()
    parsed = ServiceUnitId.parse(made.unit)
    assert [endpoint.name for endpoint in parsed.endpoints] == [A, B]
    assert [bool(pairing_token(endpoint)) for endpoint in parsed.endpoints] == [True, False]
    assert (parsed.lifecycle.size, parsed.lifecycle.valid_until) == (256, BEGIN_S + 600)
    assert (made.session, made.phase) == (parsed.digest, P.PROPOSED)


def test_two_units_of_one_pair_differ():
    assert unit(seed=1).session != unit(seed=2).session


def test_each_kme_keeps_half_of_the_depth_and_one_that_serves_both_all_of_it():
    assert (unit().sites, unit().depth) == (("a", "b"), 33)
    local = unit(A, A)
    assert (local.sites, local.depth) == (("a",), 65)


def test_each_kme_is_told_its_own_side():
    made = unit()
    here, there = made.opening("a"), made.opening("b")
    assert (here.local, here.peer, here.peer_site) == (A, B, "b")
    assert (there.local, there.peer, there.peer_site) == (B, A, "a")
    assert here.session == there.session


def test_names_of_two_namespaces_are_refused_with_the_reason():
    refusal = propose(POLICY, A, STRANGE, FIGURES, BEGIN_S, stream(1, "test"))
    assert isinstance(refusal, Refusal)
    assert "namespace" in refusal.reason


def held(session, valid_until_ps=1):
    return HeldSession(session, "", A, B, "b", 256, 32, valid_until_ps)


def test_the_session_held_at_both_ends_is_kept_then_the_longer_lived_then_the_first():
    assert best_held([("a", held("x", 9)), ("a", held("y")), ("b", held("y"))]) == "y"
    assert best_held([("a", held("x", 1)), ("b", held("y", 2))]) == "y"
    assert best_held([("a", held("y")), ("b", held("x"))]) == "x"


def test_a_pair_is_found_in_both_orders_and_an_ended_unit_by_its_id():
    book, made = UnitBook(), unit()
    book.enter(made)
    assert book.of_pair(B, A.upper().replace("URN:QKD:D:A", "urn:QKD:d:a")) is made
    book.end(made)
    assert book.of_pair(A, B) is None
    assert book.find(made.session) is made
