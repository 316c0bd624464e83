"""Ten minutes of real time: results are never early, and how late they are is printed."""

import time

import pytest

import qstrata

MINUTES = 10


@pytest.mark.campaign
def test_deliveries_are_never_early_and_their_lateness_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with qstrata.network("madrid") as net:
        net.wait_for_keys("quintin", "aquiles", 4, timeout_s=10)
        master, slave = net.sae("quintin"), net.sae("aquiles")
        end = time.monotonic() + MINUTES * 60
        while time.monotonic() < end:
            keys = master.get_keys(slave.name, 1)
            slave.get_keys_by_id(master.name, [key.key_id for key in keys])
            time.sleep(0.5)
        measured = net.inspect().lateness
    with capsys.disabled():
        print(f"\nlateness over {MINUTES} minutes, in ms")
        for row in measured:
            figures = [f"{value / 1e9:8.3f}" for value in (row.p50_ps, row.p99_ps, row.max_ps)]
            print(
                f"  {row.topic:6} {row.count:8} events  p50 {figures[0]}  p99 {figures[1]}  max {figures[2]}"
            )
    assert {row.topic for row in measured} >= {"T1", "T2", "T5", "T6"}
    assert sum(row.early for row in measured) == 0
    assert sum(row.count for row in measured if row.topic == "T6") > MINUTES * 60
