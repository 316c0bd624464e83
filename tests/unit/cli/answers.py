"""A network that answers commands from a script: a held lock and a control socket, no elements."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from qstrata.fabric.messages.forwarding_control import BlockTrace
from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.policy import UnitState
from qstrata.fabric.messages.reports import Alarm
from qstrata.fabric.messages.samples import BearerState, LinkPoolSample, SessionSample
from qstrata.fabric.tally import Refusal, Traffic
from qstrata.kernel.lateness import Lateness
from qstrata.network.events import Event
from qstrata.network.remote import (
    Answer,
    ArrowView,
    Asked,
    DescribeView,
    FaultsView,
    HopView,
    KeyEnd,
    KeyStory,
    LinkView,
    NetworkView,
    NodeView,
    PlaneView,
    SaeView,
    SessionView,
    TraceView,
)
from qstrata.network.state import StatePaths, hold, prepare
from qstrata.store.records import Segment

KEY_ID = "40d7dda4-95d0-4a3d-8704-f23642beda6e"

POOL = LinkPoolSample("a-b", 4096, 200000, 150001, 75002, 403, 504, 605, 706)
HELD = SessionSample(
    "5e55", "urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae", "b", 256, 32, 11, 12, 13, 14, 15, 16, "fed"
)
FAULTS = FaultsView(faults=(Fault("cut", "fibre/a-b", 1.0, 0), Fault("loss", "fibre/b-c", 2.5, 7)))

NETWORK = NetworkView(
    name="lab",
    domain="labdomain",
    up_s=61.5,
    clock="real",
    seed=None,
    nodes=(
        NodeView(
            name="a",
            lon=1.5,
            lat=2.5,
            url="https://127.0.0.1:10001",
            kme="urn:qkd:lab:kme:a",
            bearers=(
                BearerState("a-b", "fibre/a-b", True, False, 6.0),
                BearerState("a-b", "a-b/relay", True, True, 0.0),
            ),
        ),
    ),
    links=(
        LinkView(
            name="a-b",
            a="a",
            b="b",
            length_km=24.2,
            loss_db=6.5,
            engine="native",
            protocol="decoy-bb84",
            state="passive",
            media="down",
            reason="no light",
            detections_per_s=49103.0,
            qber=0.0356,
            key_rate_bps=1234.0,
            blocks=7,
            age_s=0.6,
            pools=(("a", POOL),),
        ),
    ),
    sessions=(
        SessionView(
            unit=UnitState(
                "5e55", "u", "urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae", "open", 3, ("a", "m", "b"), "starved"
            ),
            age_s=0.7,
            kmes=(("a", HELD),),
        ),
    ),
    saes=(
        SaeView(
            name="urn:qkd:lab:a:sae",
            node="a",
            url="https://127.0.0.1:10001",
            certificate="/s/a.pem",
            key="/s/a.key",
            ca="/s/ca.pem",
        ),
    ),
    alarms=(Alarm("a-b", "fibre/a-b", "light lost", 5),),
    faults=FAULTS.faults,
    lateness=(Lateness("T1", 42, 1_000_000_000, 2_000_000_000, 3_500_000_000, 0),),
)

TRACE = TraceView(
    wanted=KEY_ID,
    stories=(
        KeyStory(
            key_id=KEY_ID,
            session="5e55",
            unit="urn:qkd:lab:a:sae?=nonce=1\nurn:qkd:lab:b:sae?=nonce=2\nurn:qkd:lifecycle?=size=256",
            size_bits=256,
            valid_until="2026-01-02T03:04:05Z",
            ends=(
                KeyEnd(site="a", own=True, state="delivered", delivered_to=("urn:qkd:lab:a:sae",)),
                KeyEnd(site="b", own=False, state="pooled", delivered_to=()),
            ),
            transfer="5e55/a/0",
            hops=(
                HopView(
                    site="m",
                    path=17,
                    at_s=1.25,
                    incoming=(Segment("a-m", 3, 512, 256),),
                    outgoing=(Segment("m-b", 4, 1024, 256),),
                    blocks=(
                        BlockTrace("a-m", 3, 90000, "a", "fibre/a-m", False, 31_400, 2_000_000_000_000),
                        BlockTrace("m-b", 4, 100000, "m", "fibre/m-b", True, 0, 0),
                    ),
                ),
            ),
        ),
    ),
)

ARCHITECTURE = DescribeView(
    name="lab",
    planes=(
        PlaneView(end="service.res", elements=("a/kme", "b/kme")),
        PlaneView(end="world", elements=("control/lab",)),
    ),
    arrows=(
        ArrowView(
            id="F1",
            ends="service.res - service.ctl",
            scope="one domain",
            carries="configuration of service resources",
            key_bits=False,
            messages=36,
            types=(Traffic("F1", "service.ctl", "service.res", "ConfigureKme", 36),),
        ),
    ),
    refusals=(Refusal("x", "y", "Relay", "no such arrow", 9),),
)


def lines_of(answer: Answer | Sequence[Event]) -> Sequence[Answer | Event]:
    return answer if isinstance(answer, Sequence) else [answer]


@contextmanager
def scripted_network(paths: StatePaths, answer: Answer | Sequence[Event]) -> Iterator[list[Asked]]:
    """Hold a state folder and give one answer, or these events, to whatever is asked; yields what was."""
    asked: list[Asked] = []
    prepare(paths)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(paths.control_socket))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as asking:
                asked.append(msgspec.json.decode(asking.readline(), type=Asked))
                # A reader may have seen enough.
                with suppress(ConnectionError):
                    connection.sendall(
                        b"".join(msgspec.json.encode(line) + b"\n" for line in lines_of(answer))
                    )

    thread = threading.Thread(target=serve)
    with hold(paths):
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()
