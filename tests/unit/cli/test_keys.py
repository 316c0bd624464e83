"""`keys`: who asks whom, with which files, and that bits are shown only when they are asked for."""

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from qstrata.cli import main
from qstrata.core.secrets import KeyMaterial
from qstrata.interfaces.etsi014 import client as etsi014
from qstrata.interfaces.etsi014.client import BadRequestError, Key, NoAnswerError, UnauthorizedError
from qstrata.interfaces.etsi014.types import Status
from qstrata.network import pki
from qstrata.network.remote import NetworkView, SaeView
from qstrata.network.state import state_paths
from tests.unit.cli.answers import NETWORK, scripted_network

BITS = bytes(range(32))
KEY_ID = "40d7dda4-95d0-4a3d-8704-f23642beda6e"
FILES = ["--cert", "/c.pem", "--key", "/c.key", "--ca", "/ca.pem"]
STATUS = Status(
    source_KME_ID="kme a",
    target_KME_ID="kme b",
    master_SAE_ID="sae a",
    slave_SAE_ID="sae b",
    key_size=256,
    stored_key_count=7,
    max_key_count=64,
    max_key_per_request=128,
    max_key_size=1024,
    min_key_size=64,
    max_SAE_ID_count=0,
)


def sae(node: str, name: str = "sae") -> SaeView:
    return SaeView(
        name=f"urn:qkd:lab:{node}:{name}",
        node=node,
        url=f"https://{node}:1",
        certificate=f"/{node}.pem",
        key=f"/{node}.key",
        ca="/lab-ca.pem",
    )


LAB: NetworkView = msgspec.structs.replace(
    NETWORK, saes=(sae("a"), sae("b"), sae("twin", "one"), sae("twin", "two"))
)


class Kme:
    """What would have been sent to a KME, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.refusal: Exception | None = None

    def ask(self, *request: object) -> None:
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def kme(monkeypatch: pytest.MonkeyPatch) -> Kme:
    kme = Kme()

    class Client:
        def __init__(self, url: str, tls: tuple[str, str, str]) -> None:
            self.where = (url, *tls)

        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *reason: object) -> None:
            pass

        def status(self, peer: str) -> Status:
            kme.ask(*self.where, "status", peer)
            return STATUS

        def get_keys(
            self, peer: str, number: int, size_bits: int | None, also: tuple[str, ...]
        ) -> tuple[Key, ...]:
            kme.ask(*self.where, "get", peer, number, size_bits, *also)
            return (Key(KEY_ID, KeyMaterial(BITS)),)

        def get_keys_by_id(self, peer: str, key_ids: tuple[str, ...]) -> tuple[Key, ...]:
            kme.ask(*self.where, "fetch", peer, *key_ids)
            return (Key(KEY_ID, KeyMaterial(BITS)),)

    def context(own: pki.CertificatePaths, ca: object) -> tuple[str, str, str]:
        return str(own.certificate), str(own.key), str(ca)

    monkeypatch.setattr(etsi014, "BlockingEtsi014Client", Client)
    monkeypatch.setattr(pki, "client_context", context)
    return kme


@contextmanager
def lab() -> Iterator[None]:
    with scripted_network(state_paths("lab"), LAB):
        yield


A_ASKS = ("https://a:1", "/a.pem", "/a.key", "/lab-ca.pem")
B_ASKS = ("https://b:1", "/b.pem", "/b.key", "/lab-ca.pem")


@pytest.mark.parametrize("a", ["a", "urn:qkd:lab:a:sae"])
@pytest.mark.parametrize("b", ["b", "urn:qkd:lab:b:sae"])
def test_saes_are_named_in_full_or_by_their_node(kme, capsys, a, b):
    with lab():
        assert main(["keys", "status", "--from", a, "--to", b]) == 0
        assert main(["keys", "get", "--from", a, "--to", b, "--number", "3", "--size", "512"]) == 0
        assert main(["keys", "fetch", "--at", b, "--from", a, "one", "two", "--network", "lab"]) == 0
    assert kme.asked == [
        (*A_ASKS, "status", "urn:qkd:lab:b:sae"),
        (*A_ASKS, "get", "urn:qkd:lab:b:sae", 3, 512),
        (*B_ASKS, "fetch", "urn:qkd:lab:a:sae", "one", "two"),
    ]
    assert capsys.readouterr().err == ""


def test_keys_are_shared_with_further_saes_that_are_named_in_full_or_by_their_node(kme):
    also = ["--also", "b", "--also", "urn:qkd:lab:twin:one"]
    with lab():
        assert main(["keys", "get", "--from", "a", "--to", "urn:qkd:lab:twin:two", *also]) == 0
    slaves = ("urn:qkd:lab:b:sae", "urn:qkd:lab:twin:one")
    assert kme.asked == [(*A_ASKS, "get", "urn:qkd:lab:twin:two", 1, None, *slaves)]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["status", "--to", "sae b"], ("status", "sae b")),
        (["get", "--to", "sae b"], ("get", "sae b", 1, None)),
        (["get", "--to", "sae b", "--also", "sae c"], ("get", "sae b", 1, None, "sae c")),
        (["fetch", "--from", "sae a", "one"], ("fetch", "sae a", "one")),
    ],
)
def test_a_kme_of_somebody_else_needs_no_network(kme, words, asked):
    assert main(["keys", *words, "--url", "https://x:2", *FILES]) == 0
    assert kme.asked == [("https://x:2", "/c.pem", "/c.key", "/ca.pem", *asked)]


VERBS = [["get", "--from", "a", "--to", "b"], ["fetch", "--at", "b", "--from", "a", KEY_ID]]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ids_and_lengths_are_shown_and_bits_are_not(kme, capsys, verb, options):
    with lab():
        assert main(["keys", *verb, *options]) == 0
    said = capsys.readouterr()
    assert KEY_ID in said.out
    assert "256" in said.out
    for secret in (base64.b64encode(BITS).decode(), BITS.hex()):
        assert secret not in said.out + said.err


@pytest.mark.parametrize("verb", VERBS)
def test_bits_are_shown_in_base64_when_they_are_asked_for(kme, capsys, verb):
    with lab():
        assert main(["keys", *verb, "--show-keys"]) == 0
    said = capsys.readouterr()
    (key,) = json.loads(said.out)["keys"]
    assert key == {"key_ID": KEY_ID, "size_bits": 256, "key": base64.b64encode(BITS).decode()}
    assert said.err == ""


def test_status_has_the_standards_fields(kme, capsys):
    with lab():
        assert main(["keys", "status", "--from", "a", "--to", "b", "--json"]) == 0
        printed = capsys.readouterr().out
        assert main(["keys", "status", "--from", "a", "--to", "b"]) == 0
    assert msgspec.json.decode(printed, type=Status) == STATUS
    assert "stored_key_count     7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (BadRequestError(400, "no such key"), "error[QS-403]: the KME answered 400: no such key"),
        (UnauthorizedError(401, "not you"), "error[QS-404]: the KME answered 401: not you"),
        (etsi014.UnavailableError(503, "no keys"), "error[QS-405]: the KME answered 503: no keys"),
        (etsi014.Etsi014Error(502, "proxy"), "error[QS-402]: the KME answered 502: proxy"),
        (NoAnswerError(ssl.SSLError("handshake")), "error[QS-406]: no answer: ('handshake',)"),
    ],
)
def test_what_the_kme_answered_is_told_with_its_status_and_ends_with_4(kme, capsys, refusal, said):
    kme.refusal = refusal
    with lab():
        assert main(["keys", "get", "--from", "a", "--to", "b"]) == 4
    assert capsys.readouterr() == ("", f"qstrata: {said}\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["get", "--from", "aa", "--to", "b"], 1, "no SAE is called 'aa'"),
        (["get", "--from", "a", "--to", "twin"], 1, "node twin has 2 SAEs: give one of urn:qkd:lab:twin:one"),
        (["get", "--from", "a", "--to", "b", "--also", "bb"], 1, "no SAE is called 'bb'"),
        (["get", "--to", "b"], 2, "--from is missing"),
        (["fetch", "--from", "a", KEY_ID], 2, "--at is missing"),
        (["fetch", "--at", "b", "--from", "a"], 2, "no key id"),
        (["get", "--to", "b", "--url", "https://x:2"], 2, "add --cert, --key, --ca"),
        (["get", "--to", "b", "--from", "a", "--url", "https://x:2", *FILES], 2, "leave --from out"),
        (["get", "--to", "b", "--from", "a", *FILES], 2, "--cert, --key, --ca go with --url"),
    ],
)
def test_what_was_not_asked_well_is_told_before_any_key_is_spent(kme, capsys, words, code, said):
    with lab():
        assert main(["keys", *words]) == code
    assert said in capsys.readouterr().err
    assert kme.asked == []
