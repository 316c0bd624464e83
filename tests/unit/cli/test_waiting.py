"""Waiting for keys: what counts as there, and what is said of those that are not."""

import pytest
from msgspec.structs import replace

from qstrata.cli import main
from qstrata.cli.waiting import Wait, why_without_keys
from qstrata.network.face import TimedOutError
from qstrata.network.loader import load
from qstrata.network.remote import NetworkView
from tests.unit.cli.answers import NETWORK

PAIR = (NETWORK.sessions[0].unit.a, NETWORK.sessions[0].unit.b)


def ready(**keys: int) -> NetworkView:
    """Return the network with so many keys ready at each KME that has told of its session."""
    (session,) = NETWORK.sessions
    kmes = tuple((site, replace(session.kmes[0][1], keys_ready=count)) for site, count in keys.items())
    saes = (*NETWORK.saes, replace(NETWORK.saes[0], name=PAIR[1], node="b"))
    return replace(NETWORK, sessions=(replace(session, kmes=kmes),), saes=saes)


def test_keys_are_there_when_both_kmes_have_some():
    assert why_without_keys(ready(a=3, b=1), PAIR) == ""
    assert why_without_keys(ready(a=3, b=0), PAIR) == "none at b (starved)"
    assert why_without_keys(ready(b=1), PAIR) == "none at a (starved)"


def test_what_holds_keys_up_is_told_as_the_kmes_say_it():
    view = ready(a=0, b=0)
    (session,) = view.sessions
    short = tuple(
        (site, replace(sample, refill="too little key on link a-b")) for site, sample in session.kmes
    )
    view = replace(
        view, sessions=(replace(session, unit=replace(session.unit, reason=""), kmes=short),), alarms=()
    )
    assert why_without_keys(view, PAIR) == "none at a and b (too little key on link a-b)"


def test_a_session_that_nobody_has_opened_or_told_of_has_none():
    assert "not open" in why_without_keys(replace(NETWORK, sessions=()), PAIR)


def test_what_lacks_is_told_when_the_time_is_over():
    description = load("madrid")
    wait = Wait(description, -1.0)
    empty = replace(NETWORK, sessions=())
    with pytest.raises(TimedOutError, match=r"quintin:sae and .*aquiles:sae: the session is not open yet"):
        wait.over(empty)


def test_a_network_without_declared_sessions_is_waited_for_no_longer():
    assert Wait(replace(load("madrid"), sessions=()), 0.0).over(NETWORK)


@pytest.mark.parametrize("seconds", ["0", "-3", "madrid"])
def test_a_wait_of_no_time_is_refused(capsys, seconds):
    assert main(["up", "nowhere.yaml", f"--wait-for-keys={seconds}"]) == 2
    assert "--wait-for-keys" in capsys.readouterr().err
