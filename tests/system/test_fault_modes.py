"""What a client meets when the lab alters answers: one test a mode, and the ledgers stay equal throughout."""

import json
from collections.abc import Callable, Iterator

import pytest

import qstrata
from qstrata.cli.app import run as command
from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.interfaces.etsi014.client import BadRequestError, Key, NoAnswerError, UnavailableError
from qstrata.interfaces.etsi014.faults import EXHAUSTED, EXPIRED, KINDS, LATE, LOST, UNAVAILABLE, WRONG
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.network.face import Network
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from qstrata.store.records import KeyRecord, KeyState
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of

ALICE, BOB, CAROL = (f"urn:qkd:madqci:{site}:sae" for site in ("quintin", "aquiles", "quevedo"))
NOT_FOUND = "one or more keys specified are not found on KME"


class Lab:
    """Madrid in virtual time, with its event log; `close` has the checker judge it."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.sim = Simulation(load("madrid"), seed=5, log=self.log, checked=True)
        self.run(15)

    def run(self, seconds: float) -> None:
        self.sim.run_until(self.sim.queue.now + round(seconds * PS_PER_S))

    def inject(self, kind: str, target: str, amount: float = 1.0) -> None:
        self.sim.assembly.answer_faults.inject(kind, target, amount, self.sim.queue.now)

    def heal(self, kind: str, target: str) -> None:
        self.sim.assembly.answer_faults.heal(kind, target)

    def enc(self, sae: str = ALICE, peer: str = BOB, wait_s: float = 1) -> ClientEntry:
        self.sim.saes[sae].get_keys(peer, self.sim.queue.now, 2)
        self.run(wait_s)
        return self.sim.history[-1]

    def dec(self, given: ClientEntry, sae: str = BOB, peer: str = ALICE, wait_s: float = 1) -> ClientEntry:
        self.sim.saes[sae].get_keys_by_id(peer, given.key_ids, self.sim.queue.now)
        self.run(wait_s)
        return self.sim.history[-1]

    def handed_out(self, site: str) -> int:
        rows = self.sim.assembly.store.load(site)
        return sum(isinstance(row, KeyRecord) and row.state is KeyState.DELIVERED for row in rows)

    def marks(self) -> list[list[object]]:
        """Return what the event log says of altered answers."""
        self.sim.recorder.flush()
        return [entry[3:] for entry in map(json.loads, self.log) if entry[2] == "injected"]

    def close(self) -> None:
        self.run(5)
        self.sim.recorder.flush()
        verdict = check(self.log, calls_of(self.sim.history))
        assert verdict.ok, verdict.text()
        assert verdict.counts.answers_enc > 0


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def test_exhausted_kme_has_no_keys_and_loses_none(lab: Lab) -> None:
    lab.inject(EXHAUSTED, "kme/quintin")
    refused = lab.enc()
    assert (refused.outcome, refused.message) == (503, "0 of 2 keys are stored now; try again later")
    assert lab.handed_out("quintin") == 0
    lab.heal(EXHAUSTED, "kme/quintin")
    assert lab.dec(lab.enc()).outcome == 200


def test_late_answer_comes_when_it_was_told_to(lab: Lab) -> None:
    lab.inject(LATE, "kme/quintin", 7.0)
    given = lab.enc(wait_s=8)
    assert given.outcome == 200
    assert to_seconds(given.answered_ps - given.time_ps) >= 7.0
    assert lab.dec(given).outcome == 200
    lab.heal(LATE, "kme/quintin")


def test_lost_answer_burns_the_keys(lab: Lab) -> None:
    given = lab.enc()
    lab.inject(LOST, "kme/aquiles")
    assert lab.dec(given).outcome == 0
    lab.heal(LOST, "kme/aquiles")
    again = lab.dec(given)
    assert (again.outcome, again.message) == (400, NOT_FOUND)
    assert lab.handed_out("aquiles") == 2
    assert lab.marks() == [["aquiles", BOB, "dec", LOST, " ".join(given.key_ids)]]


def test_wrong_key_has_other_bits_of_the_same_length_and_the_ledgers_stay_equal(lab: Lab) -> None:
    lab.inject(WRONG, "kme/aquiles")
    given = lab.enc()
    got = lab.dec(given)
    assert (got.outcome, got.key_ids) == (200, given.key_ids)
    assert not set(got.digests) & set(given.digests)
    assert lab.marks() == [["aquiles", BOB, "dec", WRONG, " ".join(given.key_ids)]]
    lab.heal(WRONG, "kme/aquiles")
    given = lab.enc()
    assert lab.dec(given).digests == given.digests


def test_expired_key_is_not_found_and_can_be_fetched_once_healed(lab: Lab) -> None:
    given = lab.enc()
    lab.inject(EXPIRED, "kme/aquiles")
    for _ in range(2):
        refused = lab.dec(given)
        assert (refused.outcome, refused.message) == (400, NOT_FOUND)
    lab.heal(EXPIRED, "kme/aquiles")
    assert lab.dec(given).digests == given.digests


def test_unavailable_kme_answers_503_to_all_and_loses_nothing(lab: Lab) -> None:
    given = lab.enc()
    lab.inject(UNAVAILABLE, "kme/aquiles")
    assert lab.dec(given).outcome == 503
    assert lab.enc(BOB, ALICE).outcome == 503
    lab.heal(UNAVAILABLE, "kme/aquiles")
    assert lab.dec(given).digests == given.digests


def test_modes_stand_together_and_end_one_by_one(lab: Lab) -> None:
    lab.inject(WRONG, "kme/aquiles")
    lab.inject(LATE, "kme/aquiles", 2.0)
    given = lab.enc()
    got = lab.dec(given, wait_s=3)
    assert to_seconds(got.answered_ps - got.time_ps) >= 2.0
    assert got.digests != given.digests
    assert [fault.kind for fault in lab.sim.assembly.answer_faults.standing] == [WRONG, LATE]
    lab.heal(WRONG, "kme/aquiles")
    lab.heal(LATE, "kme/aquiles")


@pytest.mark.parametrize(
    ("kind", "target", "amount", "words"),
    [
        ("kme-late", "kme/quintin", 0.0, "give a number of seconds up to 3600"),
        ("kme-late", "kme/quintin", float("nan"), "nan is no delay"),
        ("kme-broken", "kme/quintin", 1.0, "there are: kme-exhausted, kme-late, kme-lost-answer"),
        ("kme-expired", "kme/nowhere", 1.0, "there are: kme/quintin, kme/quijote"),
        ("kme-expired", "session/7", 1.0, "session/ID"),
    ],
)
def test_what_cannot_be_injected_is_refused_with_what_can(
    kind: str, target: str, amount: float, words: str
) -> None:
    faults = Simulation(load("madrid"), seed=5).assembly.answer_faults
    with pytest.raises(InputError, match=words):
        faults.inject(kind, target, amount, 0)
    with pytest.raises(InputError, match="that stand: none"):
        faults.heal(kind, target)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with qstrata.network("madrid") as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        yield net


def test_fault_of_a_session_is_met_by_its_saes_alone(net: Network) -> None:
    net.wait_for_keys("quintin", "quevedo")
    session = next(s.unit.session for s in net.inspect().sessions if {s.unit.a, s.unit.b} == {ALICE, CAROL})
    net.inject(UNAVAILABLE, f"session/{session}")
    for sae, peer in (("quintin", "quevedo"), ("quevedo", "quintin")):
        with pytest.raises(UnavailableError, match="down"):
            net.sae(sae).status(peer)
    assert net.sae("quintin").status("aquiles").key_size == 256
    assert [(fault.kind, fault.target) for fault in net.inspect().faults] == [
        (UNAVAILABLE, f"session/{session}")
    ]
    assert net.heal(UNAVAILABLE, f"session/{session}").faults == ()
    assert net.sae("quintin").status("quevedo").key_size == 256
    with pytest.raises(InputError, match=f"no session has the id 'x'.*{session}"):
        net.inject(UNAVAILABLE, "session/x")


def fetch(net: Network) -> tuple[Key, ...]:
    (key,) = net.sae("quintin").get_keys("aquiles")
    return net.sae("aquiles").get_keys_by_id("quintin", [key.key_id])


def ends(net: Network) -> object:
    with pytest.raises(NoAnswerError):
        net.sae("quintin").status("aquiles")


def answers_late(net: Network) -> None:
    net.sae("quintin").status("aquiles")


def gives_other_bits(net: Network) -> None:
    (key,) = net.sae("quintin").get_keys("aquiles")
    (other,) = net.sae("aquiles").get_keys_by_id("quintin", [key.key_id])
    assert other.key_id == key.key_id
    assert other.bits != key.bits


def has_no_keys(net: Network) -> None:
    assert net.sae("quintin").status("aquiles").stored_key_count == 0
    with pytest.raises(UnavailableError, match="0 of 1 keys"):
        net.sae("quintin").get_keys("aquiles")


def finds_no_key(net: Network) -> None:
    net.wait_for_keys("aquiles", "quintin")
    (key,) = net.sae("aquiles").get_keys("quintin")
    with pytest.raises(BadRequestError, match=NOT_FOUND):
        net.sae("quintin").get_keys_by_id("aquiles", [key.key_id])


def is_down(net: Network) -> None:
    with pytest.raises(UnavailableError):
        fetch(net)


@pytest.mark.parametrize(
    ("kind", "amount", "see"),
    [
        (EXHAUSTED, 1.0, has_no_keys),
        (LATE, 0.2, answers_late),
        (LOST, 1.0, ends),
        (WRONG, 1.0, gives_other_bits),
        (EXPIRED, 1.0, finds_no_key),
        (UNAVAILABLE, 1.0, is_down),
    ],
)
def test_mode_is_injected_by_command_met_over_tls_and_healed(
    net: Network, kind: str, amount: float, see: Callable[[Network], None], capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["kme/quintin", "--state-dir", str(net.paths.root)]
    more = [str(amount)] if kind == LATE else []
    assert command(["inject", kind, where[0], *more, *where[1:]]) == 0
    see(net)
    assert kind in capsys.readouterr().out
    assert command(["heal", kind, *where]) == 0
    (key,) = fetch(net)
    assert key.bits.size_bits == 256


def test_every_mode_is_a_command_that_the_help_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["inject", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(kind in text for kind in KINDS)
