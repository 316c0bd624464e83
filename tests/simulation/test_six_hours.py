"""Six virtual hours of Madrid under load: the scarcest link is used, and every bit is accounted for.

The demand is that of `benchmarks.scenarios`. The utilisation of a link at one of its ends is what the
ledger there books as relayed, over all that was generated, blocks still unused and the start included.
"""

import pytest

from benchmarks.scenarios import BOTTLENECK, busy_madrid, one_sided_madrid
from qstrata.core.time import PS_PER_S
from qstrata.fabric.log import Sampled
from qstrata.network.simulation import Simulation, SimulationReport
from tests.simulation.ledgers import KeptLines, Rows, blocks, given_keys, is_conserved, sampled

HOUR_PS = 3600 * PS_PER_S
KEY_BITS = 256
ENDS = BOTTLENECK.split("-")


class Run:
    """A finished run: its accounts minute by minute, its blocks, its report."""

    def __init__(self, sim: Simulation, lines: KeptLines, time_ps: int) -> None:
        self.sim = sim
        sim.start_demands()
        sim.run_until(time_ps)
        sim.recorder.flush()
        self.report: SimulationReport = sim.report()
        self.accounts: list[tuple[int, Sampled]] = sampled(lines)
        self.generated: dict[tuple[str, str], int] = {}
        for (site, link, _), (length, _) in blocks(lines).items():
            self.generated[site, link] = self.generated.get((site, link), 0) + length
        self.rows = {node.name: Rows(sim, node.name) for node in sim.description.nodes}

    def utilisation(self, site: str) -> float:
        generated = self.generated[site, BOTTLENECK]
        return self.rows[site].link(BOTTLENECK, generated).relayed / generated


@pytest.fixture(scope="module")
def six_hours() -> Run:
    lines = KeptLines("account", "block")
    return Run(Simulation(busy_madrid(), seed=1, log=lines), lines, 6 * HOUR_PS)


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("six hours")]


def test_the_scarcest_link_spends_seven_tenths_of_its_key_at_both_ends(six_hours: Run) -> None:
    assert all(six_hours.utilisation(site) >= 0.70 for site in ENDS)


def test_a_hundred_thousand_keys_reach_both_saes_once_and_equal(six_hours: Run) -> None:
    given, given_times = given_keys(six_hours.sim.history, "enc")
    fetched, fetched_times = given_keys(six_hours.sim.history, "dec")
    assert len(fetched) >= 100_000
    assert set(given_times.values()) == set(fetched_times.values()) == {1}
    assert fetched == {key_id: given[key_id] for key_id in fetched}
    assert len(given) - len(fetched) <= 100


def test_bits_are_conserved_in_every_ledger_every_minute(six_hours: Run) -> None:
    broken = [(time_ps, account) for time_ps, account in six_hours.accounts if not is_conserved(account)]
    assert not broken
    ledgers = {(account.site, account.ledger) for _, account in six_hours.accounts}
    links = {(site, link.name) for link in six_hours.sim.description.links for site in link.ends}
    assert links < ledgers
    assert len(ledgers - links) == 4
    minutes = {time_ps // (60 * PS_PER_S) for time_ps, _ in six_hours.accounts}
    assert minutes >= set(range(360))


def test_durable_rows_account_for_every_bit_that_agents_handed_over(six_hours: Run) -> None:
    for (site, link), generated in six_hours.generated.items():
        account = six_hours.rows[site].link(link, generated)
        assert account.balanced, (site, link, account)
    for site, rows in six_hours.rows.items():
        for session, account in rows.sessions().items():
            assert account.balanced, (site, session, account)


def test_what_kmes_book_as_delivered_is_what_saes_were_given(six_hours: Run) -> None:
    booked = sum(
        account.delivered for rows in six_hours.rows.values() for account in rows.sessions().values()
    )
    answered = six_hours.report.keys_delivered + six_hours.report.keys_fetched
    assert abs(booked - answered * KEY_BITS) <= 100 * KEY_BITS


def test_requests_go_unserved_only_until_the_first_blocks_are_there(six_hours: Run) -> None:
    late = [
        entry
        for entry in six_hours.sim.history
        if entry.verb == "enc" and entry.outcome != 200 and entry.time_ps > 600 * PS_PER_S
    ]
    assert not late
    assert six_hours.report.refusals == 0


def test_one_sided_demand_uses_the_blocks_that_the_other_end_owned() -> None:
    lines = KeptLines("account", "block")
    run = Run(Simulation(one_sided_madrid(), seed=1, log=lines), lines, HOUR_PS)
    assert all(run.utilisation(site) >= 0.70 for site in ENDS)
    assert all(is_conserved(account) for _, account in run.accounts)
