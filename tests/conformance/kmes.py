"""KMEs of a network in virtual time, asked over ETSI GS QKD 014 as SAEs ask them, without TLS."""

import json
from urllib.parse import quote

from qstrata.core.time import PS_PER_S
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.store.records import KeyRecord, KeyState


class Kmes:
    """The KMEs of a network file, asked over their handlers; an SAE at the first node where it has none."""

    def __init__(self, text: str) -> None:
        network = load_text(text, "rows.yaml")
        self.sites = [node.name for node in network.nodes]
        self.site_of = {sae.name: sae.node for sae in network.saes}
        self.pair = network.sessions[0].between
        self.lines: list[bytes] = []
        self.sim = Simulation(network, seed=14, log=self.lines, checked=True)
        self.run(15)

    def run(self, seconds: float) -> None:
        self.sim.run_until(self.sim.queue.now + round(seconds * PS_PER_S))

    def call(self, sae: str, method: str, target: str, body: object = None, kind: str = "") -> HttpAnswer:
        """Send a request of an SAE to its KME, and return the answer."""
        answers: list[HttpAnswer] = []
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        handler = self.sim.assembly.handlers[self.site_of.get(sae, self.sites[0])]
        request = HttpRequest(method, target, kind, payload)
        handler.handle(request, sae, lambda answer, now: answers.append(answer), self.sim.queue.now)
        while not answers:
            self.run(0.01)
        return answers[0]

    def ids(self, number: int = 1, sae: str = "", peer: str = "") -> list[str]:
        """Return the ids of new keys of a pair, the first session's if none is named, once there are some."""
        sae, peer = sae or self.pair[0], peer or self.pair[1]
        while True:
            answer = self.call(sae, "GET", f"{path(peer, 'enc_keys')}?number={number}")
            if answer.status == 200:
                return [key["key_ID"] for key in json.loads(answer.body)["keys"]]
            self.run(1)

    def handed_out(self) -> int:
        """Return how many keys have been handed out, at all KMEs together, by their ledgers."""
        rows = [row for site in self.sites for row in self.sim.assembly.store.load(site)]
        given = (KeyState.DELIVERED, KeyState.DELIVERED_IN_PART)
        return sum(isinstance(row, KeyRecord) and row.state in given for row in rows)

    def refused(
        self, status: int, sae: str, method: str, target: str, body: object = None
    ) -> dict[str, object]:
        """Return the error of a request that is refused and consumes nothing."""
        before = self.handed_out()
        answer = self.call(sae, method, target, body)
        assert answer.status == status, bytes(answer.body)
        assert self.handed_out() == before
        error = json.loads(answer.body)
        assert isinstance(error["message"], str)
        assert error["message"]
        assert set(error) <= {"message", "details"}
        return dict(error)


def path(peer: str, verb: str) -> str:
    return f"/api/v1/keys/{quote(peer, safe='')}/{verb}"


def asked(ids: list[str]) -> dict[str, object]:
    return {"key_IDs": [{"key_ID": key_id} for key_id in ids]}


def keys(answer: HttpAnswer) -> dict[str, str]:
    assert answer.status == 200, bytes(answer.body)
    container = json.loads(answer.body)
    assert list(container) == ["keys"]
    return {key["key_ID"]: key["key"] for key in container["keys"]}
