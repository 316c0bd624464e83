"""What commands print of a network that is up: every fact in plain text, every field in JSON."""

import msgspec
import pytest

from qstrata.cli import main
from qstrata.network.remote import (
    AskDescribe,
    AskFaults,
    AskHeal,
    AskInject,
    AskInspect,
    AskTrace,
    DescribeView,
    Failed,
    FaultsView,
    NetworkView,
    TraceView,
)
from qstrata.network.state import state_paths
from tests.unit.cli.answers import ARCHITECTURE, FAULTS, KEY_ID, NETWORK, TRACE, scripted_network


def command(capsys: pytest.CaptureFixture[str], answer, *words: str):
    with scripted_network(state_paths("lab"), answer) as asked:
        code = main(words)
    said = capsys.readouterr()
    assert said.err == ""
    assert code == 0
    return said.out, asked


@pytest.mark.parametrize(
    ("words", "answer", "asked"),
    [
        (["inspect"], NETWORK, AskInspect()),
        (["inspect", "lab"], NETWORK, AskInspect()),
        (["trace", KEY_ID], TRACE, AskTrace(wanted=KEY_ID)),
        (["describe"], ARCHITECTURE, AskDescribe()),
        (["inject", "list"], FAULTS, AskFaults()),
        (["inject", "cut", "a-b"], FAULTS, AskInject(kind="cut", target="a-b", amount=1.0)),
        (["inject", "loss", "a-b", "2.5"], FAULTS, AskInject(kind="loss", target="a-b", amount=2.5)),
        (
            ["inject", "intercept-resend", "a-b", ".1", "--network", "lab"],
            FAULTS,
            AskInject(kind="intercept-resend", target="a-b", amount=0.1),
        ),
        (["heal", "cut", "a-b"], FAULTS, AskHeal(kind="cut", target="a-b")),
    ],
)
def test_json_is_the_answer_of_the_network(capsys, words, answer, asked):
    printed, requests = command(capsys, answer, *words, "--json")
    kind = NetworkView | TraceView | DescribeView | FaultsView
    assert msgspec.json.decode(printed, type=kind) == answer
    assert requests == [asked]


def test_inspect_shows_every_fact_of_the_network(capsys):
    printed, _ = command(capsys, NETWORK, "inspect")
    assert "\x1b" not in printed
    facts = (
        "lab labdomain urn:qkd:lab:kme:a https://127.0.0.1:10001 1/2 fibre/a-b passive down 24.2 6.5 49103"
    )
    facts += (
        " 3.56 1234 150001 75002 403 504 605 706 4096 200000 5e55 urn:qkd:lab:b:sae open 11 12 13 14 15 16"
    )
    facts += " fed starved /s/a.pem /s/a.key /s/ca.pem T1 42 1.000 2.000 3.500 cut loss"
    words = printed.replace(",", " ").replace(":\n", " ").split()
    assert [fact for fact in facts.split() if fact not in words and fact + ":" not in words] == []
    for phrase in ("a - m - b", "no light", "light lost", "2.5 dB", "keys from the operating system"):
        assert phrase in printed


def test_inspect_warns_that_keys_of_a_seeded_network_are_not_secret(capsys):
    printed, _ = command(capsys, msgspec.structs.replace(NETWORK, seed=7), "inspect")
    assert "seed 7, keys not secret" in printed


def test_trace_tells_unit_ends_transfer_hops_blocks_and_bearers(capsys):
    printed, _ = command(capsys, TRACE, "trace", KEY_ID)
    for fact in (
        KEY_ID,
        "256 bits",
        "2026-01-02T03:04:05Z",
        "urn:qkd:lab:a:sae?=nonce=1",
        "urn:qkd:lifecycle?=size=256",
        "KME of a (owner",
        "delivered to urn:qkd:lab:a:sae",
        "KME of b (peer",
        "delivered to nobody",
        "transfer 5e55/a/0",
        "relay of m, path 17",
        "unmasked with 256 bits of a-m, block 3, offset 512",
        "masked with 256 bits of m-b, block 4, offset 1024",
        "block of 90000 bits owned by a, distilled at QBER 3.14 %, made at 2.000 s, bearer fibre/a-m",
        "block of 100000 bits owned by m, provisioned",
    ):
        assert fact in printed


def test_describe_shows_planes_arrows_counts_and_refusals(capsys):
    printed, _ = command(capsys, ARCHITECTURE, "describe")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "service resource 2 a/kme b/kme" in lines
    assert "outside world 1 control/lab" in lines
    assert "F1 configuration of service resources one domain never 36 ConfigureKme:36" in lines
    assert "x y Relay 9 no such arrow" in lines
    assert lines[0] == "lab: 36 messages on 1 arrows, 9 refused"


@pytest.mark.parametrize("code", [1, 3, 70])
def test_a_refusal_ends_with_the_networks_own_words_and_code(capsys, code):
    answer = Failed(text="no such fibre: there is a-b", code=code, error="QS-103")
    with scripted_network(state_paths("lab"), answer):
        assert main(["inject", "cut", "a-c"]) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "qstrata: error[QS-103]: no such fibre: there is a-b\n")


def test_the_only_network_that_is_up_needs_no_name_but_one_of_two_does(capsys):
    with scripted_network(state_paths("lab"), NETWORK), scripted_network(state_paths("other"), NETWORK):
        assert main(["inspect"]) == 1
        assert "several networks are up (lab, other)" in capsys.readouterr().err
        assert main(["inspect", "other"]) == 0


def test_a_network_is_found_in_a_folder_of_its_own(state_home, capsys):
    folder = state_home.parent / "own"
    with scripted_network(state_paths("lab", folder), NETWORK):
        assert main(["inspect"]) == 3
        assert main(["inspect", "--state-dir", str(folder), "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=NetworkView) == NETWORK
