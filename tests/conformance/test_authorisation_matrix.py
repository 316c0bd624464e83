"""Who may do what with which key: every cell of one policy table, asked of real KMEs in virtual time.

Clauses 5 and 6 of ETSI GS QKD 014 V1.1.1: 401 for whom a key or pair is not, 400 for what does not exist
(any more), 503 for a pair that may have keys but has none now. Only cells of 200 change a ledger.
"""

import itertools
import json
import uuid
from collections import Counter
from urllib.parse import quote

import pytest

from qstrata.core.address import End
from qstrata.core.effects import Send
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.unit_requests import CloseUnit
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.types import METHODS
from qstrata.network.loader import load_text
from qstrata.network.plan import face
from qstrata.network.simulation import Simulation
from qstrata.planes import places
from qstrata.store.records import KeyRecord, KeyTotals, SessionRecord

ALICE, ANNA, GINA, BOB, DORA, EVE, CAROL, MALLORY, NOBODY = (
    f"urn:qkd:lab:{name}"
    for name in ("alice", "anna", "gina", "bob", "dora", "eve", "carol", "mallory", "nobody")
)

FILE = f"""
name: matrix
domain: lab
nodes:
  - {{name: left, site: [0, 0]}}
  - {{name: middle, site: [1, 0]}}
  - {{name: right, site: [2, 0]}}
links:
  - {{ends: [left, middle], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 800000}}
  - {{ends: [middle, right], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 800000}}
saes:
  - {{name: "{ALICE}", node: left}}
  - {{name: "{ANNA}", node: left}}
  - {{name: "{GINA}", node: left}}
  - {{name: "{BOB}", node: right}}
  - {{name: "{DORA}", node: right}}
  - {{name: "{EVE}", node: right}}
  - {{name: "{CAROL}", node: middle}}
policy:
  pairs: [["{ALICE}", "{BOB}"], ["{ALICE}", "{DORA}"], ["{ALICE}", "{ANNA}"],
          ["{GINA}", "{ALICE}"], ["{GINA}", "{BOB}"], ["{GINA}", "{DORA}"], ["{GINA}", "{ANNA}"]]
defaults:
  session: {{depth-keys: 32, rate-keys-per-s: 100, ttl-s: TTL}}
sessions:
  - {{between: ["{ALICE}", "{BOB}"]}}
  - {{between: ["{ALICE}", "{DORA}"]}}
  - {{between: ["{ALICE}", "{ANNA}"]}}
"""
SITES = ("left", "middle", "right")

ROLES = {
    "master": (ALICE, "left"),
    "slave": (BOB, "right"),
    "third": (DORA, "right"),
    "neighbour": (ANNA, "left"),
    "loner": (EVE, "right"),
    "bystander": (CAROL, "middle"),
    "away": (ALICE, "right"),
    "elsewhere": (CAROL, "right"),
    "stranger": (MALLORY, "right"),
}
"""Who calls, and at which site: of the key's pair, of others there, of another KME, of none."""

POLICY = """
                     master slave third neighbour loner bystander away elsewhere stranger
status   own-pair     200    200   200   200       401   401       401  401       401
status   not-allowed  401    401   401   401       401   401       401  401       401
status   unknown-peer 400    400   400   400       400   400       401  401       401
status   itself       401    401   401   401       401   401       401  401       401
status   unopened     503    503   503   503       401   401       401  401       401
status   closed       503    503   503   503       401   401       401  401       401
status   expired      503    503   503   503       401   401       401  401       401
enc_keys own-pair     200    200   200   200       401   401       401  401       401
enc_keys not-allowed  401    401   401   401       401   401       401  401       401
enc_keys unknown-peer 400    400   400   400       400   400       401  401       401
enc_keys itself       401    401   401   401       401   401       401  401       401
enc_keys unopened     503    503   503   503       401   401       401  401       401
enc_keys closed       503    503   503   503       401   401       401  401       401
enc_keys expired      503    503   503   503       401   401       401  401       401
dec_keys own-pair     401    200   401   401       401   400       401  401       401
dec_keys not-allowed  401    400   401   401       401   400       401  401       401
dec_keys unknown-peer 401    400   401   401       401   400       401  401       401
dec_keys itself       401    400   401   401       401   400       401  401       401
dec_keys reverse      200    401   401   401       401   400       401  401       401
dec_keys other-pair   401    401   200   401       401   400       401  401       401
dec_keys mixed        401    401   401   401       401   400       401  401       401
dec_keys same-kme     401    400   400   200       400   400       401  401       401
dec_keys fetched      401    400   401   401       401   400       401  401       401
dec_keys never-made   400    400   400   400       400   400       401  401       401
dec_keys closed       401    400   401   401       401   400       401  401       401
dec_keys expired      401    400   401   401       401   400       401  401       401
"""
"""The policy: operation, relation to the peer named (status, enc_keys) or to the key (dec_keys), roles.

Keys are Alice's for Bob, who is named as `own-pair` by each of the two, and she by all others; `reverse`
are Bob's for Alice, `other-pair` hers for Dora, `same-kme` hers for Anna, `mixed` one for Bob, one for Dora.
"""

PEERS = ("own-pair", "not-allowed", "unknown-peer", "itself", "unopened", "closed", "expired")
KEYS = (
    *("own-pair", "not-allowed", "unknown-peer", "itself", "reverse", "other-pair", "mixed"),
    *("same-kme", "fetched", "never-made", "closed", "expired"),
)
RELATIONS = {"status": PEERS, "enc_keys": PEERS, "dec_keys": KEYS}
NOT_ALLOWED = {ALICE: CAROL, BOB: DORA, DORA: BOB, ANNA: BOB, EVE: BOB, CAROL: EVE, MALLORY: BOB}

Cell = tuple[str, str, str]


def read_policy(text: str) -> dict[Cell, int]:
    """Return the status of each cell: operation, relation, role."""
    head, *rows = text.strip().splitlines()
    cells: dict[Cell, int] = {}
    for row in rows:
        operation, relation, *statuses = row.split()
        for role, status in zip(head.split(), statuses, strict=True):
            assert (operation, relation, role) not in cells, row
            cells[operation, relation, role] = int(status)
    return cells


CELLS = read_policy(POLICY)


class World:
    """The network, with full pools; `control` may be gone, so that nothing opens again."""

    def __init__(self, ttl_s: int = 100_000) -> None:
        self.pairs: tuple[tuple[str, str], ...] = ((ALICE, BOB), (ALICE, DORA), (ALICE, ANNA))
        self.sim = Simulation(
            load_text(FILE.replace("TTL", str(ttl_s)), "matrix.yaml"), seed=95, checked=True
        )
        self.run(20)

    def run(self, seconds: float) -> None:
        self.sim.run_until(self.sim.queue.now + round(seconds * PS_PER_S))

    def call(self, sae: str, site: str, target: str, body: object = None) -> HttpAnswer:
        """Send a request of an SAE to a site's KME, and return the answer."""
        answers: list[HttpAnswer] = []
        request = (
            HttpRequest("GET", target)
            if body is None
            else HttpRequest("POST", target, "application/json", json.dumps(body).encode())
        )
        self.sim.assembly.handlers[site].handle(
            request, sae, lambda answer, now: answers.append(answer), self.sim.queue.now
        )
        while not answers:
            self.run(0.01)
        return answers[0]

    def key(self, sae: str, peer: str) -> str:
        """Return the id of a new key of an SAE."""
        answer = self.call(sae, site_of(sae), path(peer, "enc_keys"))
        assert answer.status == 200, bytes(answer.body)
        key_id = json.loads(answer.body)["keys"][0]["key_ID"]
        assert isinstance(key_id, str)
        return key_id

    def stored(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return stored_key_count and max_key_count of each pair that is open, in each direction."""
        counts: dict[tuple[str, str], tuple[int, int]] = {}
        for one, other in self.pairs:
            for pair in ((one, other), (other, one)):
                status = json.loads(self.call(pair[0], site_of(pair[0]), path(pair[1], "status")).body)
                counts[pair] = (status["stored_key_count"], status["max_key_count"])
        return counts

    def settle(self) -> None:
        """Run until every open pool is full, so that nothing but a request changes it."""
        for _ in range(60):
            if all(stored == most for stored, most in self.stored().values()):
                return
            self.run(1)
        raise AssertionError(f"pools do not fill: {self.stored()}")

    def ledger(self) -> Counter[tuple[str, str]]:
        """Count what each KME's durable ledger holds and has ended, in keys by state and bits."""
        found: Counter[tuple[str, str]] = Counter()
        for site in SITES:
            for row in self.sim.assembly.store.load(site):
                if isinstance(row, KeyRecord):
                    found[site, f"{row.state} {row.delivered_to}"] += 1
                elif isinstance(row, KeyTotals):
                    found[site, "folded"] += row.delivered + row.destroyed + row.expired
        return found

    def close_all(self) -> None:
        """Close every session in the name of Alice, by F10, and wait until both KMEs have let it go."""
        address = face("lab", "left")
        control = self.sim.assembly.fabric.port(address).bind(places.controller(End.SERVICE_CTL, "lab"))
        rows = self.sim.assembly.store.load("left")
        sessions = [row.session for row in rows if isinstance(row, SessionRecord)]
        for number, session in enumerate(sessions):
            close = Send(control, CloseUnit(-1 - number, ALICE, session))
            self.sim.assembly.host.perform("left", [close], self.sim.queue.now)
        self.run(5)
        for site in SITES:
            held = [r for r in self.sim.assembly.store.load(site) if isinstance(r, SessionRecord)]
            assert all(row.closed for row in held)
        assert len(sessions) == 3


def site_of(sae: str) -> str:
    return next(site for name, site in ROLES.values() if name == sae)


def path(peer: str, operation: str) -> str:
    return f"/api/v1/keys/{quote(peer, safe='')}/{operation}"


class Worlds:
    """One world for what is open, one where all was closed, one where all has expired, with a key in each."""

    def __init__(self) -> None:
        self.open = World()
        self.closed = World()
        self.expired = World(ttl_s=60)
        self.old = {"closed": self.closed.key(ALICE, BOB), "expired": self.expired.key(ALICE, BOB)}
        self.closed.close_all()
        for world in (self.closed, self.expired):
            world.sim.crash("control")
            world.pairs = ()
        self.expired.run(60)

    def of(self, relation: str) -> World:
        """Return the world of a relation; nothing is opened where control is gone."""
        if relation in ("closed", "unopened"):
            return self.closed
        return self.expired if relation == "expired" else self.open

    def asked(self, relation: str, sae: str) -> tuple[list[str], str]:
        """Return the key ids that `dec_keys` asks for, and the SAE that its path names."""
        world = self.open
        if relation in self.old:
            return [self.old[relation]], ALICE
        if relation == "reverse":
            return [world.key(BOB, ALICE)], BOB
        if relation == "other-pair":
            return [world.key(ALICE, DORA)], ALICE
        if relation == "same-kme":
            return [world.key(ALICE, ANNA)], ALICE
        if relation == "never-made":
            return [str(uuid.UUID(int=7))], ALICE
        if relation == "mixed":
            return [world.key(ALICE, BOB), world.key(ALICE, DORA)], ALICE
        key_id = world.key(ALICE, BOB)
        if relation == "fetched":
            assert world.call(BOB, "right", f"{path(ALICE, 'dec_keys')}?key_ID={key_id}").status == 200
        named = {"not-allowed": NOT_ALLOWED[sae], "unknown-peer": NOBODY, "itself": sae}
        return [key_id], named.get(relation, ALICE)


def peer_of(relation: str, sae: str) -> str:
    """Return the SAE that `status` and `enc_keys` name."""
    named = {"not-allowed": NOT_ALLOWED[sae], "unknown-peer": NOBODY, "itself": sae, "unopened": GINA}
    return named.get(relation, BOB if sae == ALICE else ALICE)


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    return Worlds()


def test_the_policy_has_a_status_for_every_cell_and_for_no_other() -> None:
    assert set(RELATIONS) == set(METHODS)
    wanted = {
        cell
        for operation, relations in RELATIONS.items()
        for cell in itertools.product((operation,), relations, ROLES)
    }
    assert set(CELLS) == wanted
    assert set(CELLS.values()) <= {200, 400, 401, 503}


@pytest.mark.parametrize("cell", CELLS, ids=" ".join)
def test_the_kme_answers_as_the_policy_says_and_a_refusal_consumes_nothing(
    worlds: Worlds, cell: Cell
) -> None:
    operation, relation, role = cell
    (sae, site), status = ROLES[role], CELLS[cell]
    world = worlds.of(relation)
    body = None
    if operation == "dec_keys":
        key_ids, named = worlds.asked(relation, sae)
        body = {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}
    else:
        named = peer_of(relation, sae)
    world.settle()
    ledger, stored = world.ledger(), world.stored()
    answer = world.call(sae, site, path(named, operation), body)
    assert answer.status == status, bytes(answer.body)
    if operation == "status" or status != 200:
        assert world.ledger() == ledger
        assert world.stored() == stored
    else:
        assert world.ledger() != ledger
    if status != 200:
        assert json.loads(answer.body)["message"]
