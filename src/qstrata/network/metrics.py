"""The catalogue of metrics: every figure that telemetry gives, with its unit, its source and its sampling.

A metric is named by where it stands in `inspect --json`; `[]` stands for every item of a list. The catalogue
has a version: it rises when a metric is taken away or means something else, not when one is added.
"""

import msgspec

CATALOGUE_VERSION = 1

_SECOND = "every second"
_BLOCK = "at the end of a block"
_CHANGE = "when it changes"
_ASKED = "when asked"


class Metric(msgspec.Struct, frozen=True):
    """One metric: its path, unit ("1" for a number), the plane that it comes from, how often it is taken."""

    path: str
    unit: str
    plane: str
    sampled: str
    meaning: str


def _pool(field: str, meaning: str) -> Metric:
    return Metric(f"links[].pools[].{field}", "bit", "forwarding.res", _SECOND, meaning)


def _store(field: str, meaning: str, unit: str = "keys") -> Metric:
    return Metric(f"sessions[].kmes[].{field}", unit, "service.res", _SECOND, meaning)


def _stage(field: str, meaning: str, unit: str = "bit") -> Metric:
    return Metric(f"links[].distilled.stages.{field}", unit, "forwarding.res", _BLOCK, meaning)


def _link(field: str, unit: str, sampled: str, meaning: str) -> Metric:
    return Metric(f"pair_links[].{field}", unit, "forwarding.tel", sampled, meaning)


def _circuit(field: str, unit: str, sampled: str, meaning: str) -> Metric:
    return Metric(f"circuits[].{field}", unit, "forwarding.tel", sampled, meaning)


def _late(path: str, field: str, unit: str, meaning: str) -> Metric:
    return Metric(f"{path}.{field}", unit, "kernel", _ASKED, meaning)


def _lateness(path: str) -> tuple[Metric, ...]:
    return (
        _late(path, "count", "1", "events of the topic that ran"),
        _late(path, "p50_ps", "ps", "lateness that half of them kept within"),
        _late(path, "p99_ps", "ps", "lateness that 99 % of them kept within"),
        _late(path, "max_ps", "ps", "the latest"),
        _late(path, "early", "1", "events that ran too soon; 0, or the clock is not true"),
    )


METRICS: tuple[Metric, ...] = (
    Metric("up_s", "s", "supervisor", _ASKED, "how long the network has been up"),
    Metric("nodes[].bearers[].up", "true or false", "connectivity.res", _CHANGE, "a bearer has signal here"),
    Metric("nodes[].bearers[].granted", "true or false", "connectivity.res", _CHANGE, "it is granted"),
    Metric("nodes[].bearers[].loss_db", "dB", "connectivity.res", _CHANGE, "its measured loss"),
    Metric("links[].detections_per_s", "1/s", "forwarding.tel", _SECOND, "clicks of the receiver"),
    Metric(
        "links[].qber", "1", "forwarding.tel", _SECOND, "error rate in the key basis; 0 where none is known"
    ),
    Metric(
        "links[].key_rate_bps",
        "bit/s",
        "forwarding.tel",
        _BLOCK,
        "secret key of the last 8 blocks, over their time",
    ),
    Metric("links[].blocks", "1", "forwarding.tel", _BLOCK, "blocks heard of"),
    Metric("links[].age_s", "s", "forwarding.tel", _ASKED, "how old the last sample is"),
    *_lateness("links[].lateness"),
    Metric(
        "links[].distilled.block", "1", "forwarding.res", _BLOCK, "number of the last block of raw clicks"
    ),
    _stage("clicks", "clicks in it", "1"),
    _stage("sifted_bits", "bits in equal bases"),
    _stage("test_bits", "of these, bits that were compared in public"),
    _stage("corrected_bits", "errors found"),
    _stage("parity_bits", "parities told in public"),
    _stage("hash_bits", "bits of hashes told in public"),
    _stage("count_bits", "bits that numbers of errors told in public"),
    _stage("tag_bits", "bits of older key that authenticated what was told"),
    _stage("secret_bits", "secret bits that it gave"),
    _pool("generated", "bits that came in from devices"),
    _pool("provisioned", "bits that were placed at the start"),
    _pool("available", "unspent bits that both ends hold"),
    _pool("owned", "of these, bits that this end may allocate"),
    _pool("unconfirmed", "unspent bits that the other end has not confirmed"),
    _pool("in_flight", "bits allocated to transfers under way"),
    _pool("relayed", "bits that masked keys which arrived"),
    _pool("destroyed", "bits that were lost, burnt or suspect"),
    _pool("authentication", "bits set apart to authenticate distillation"),
    _link("attempts_per_s", "1/s", _SECOND, "attempts to entangle, over the last 10 s"),
    _link("heralds_per_s", "1/s", _SECOND, "pairs heralded, over the last 10 s"),
    _link("heralds", "1", _SECOND, "pairs heralded since the start"),
    _link("expired", "1", _SECOND, "pairs given up unused at their cut-off"),
    _link("age_s", "s", _ASKED, "how old the last sample is"),
    _circuit("delivered", "1", _SECOND, "pairs that both ends had"),
    _circuit("pairs_per_s", "1/s", _SECOND, "their rate, over the last 10 s"),
    _circuit("kept", "1", _SECOND, "of these, pairs that were not measured for a test"),
    _circuit("tested", "1", _SECOND, "pairs measured in related settings at both ends in the last 60 s"),
    _circuit("fidelity", "1", _SECOND, "mean fidelity, as the measurements of the last 60 s tell"),
    _circuit("fidelity_error", "1", _SECOND, "its standard error"),
    _circuit("chsh", "1", _SECOND, "CHSH value of the measurements of the last 60 s"),
    _circuit("chsh_error", "1", _SECOND, "its standard error"),
    _circuit("errors_z", "1", _SECOND, "share of pairs measured along z that differ, in the last 60 s"),
    _circuit("errors_x", "1", _SECOND, "share of pairs measured along x that differ, in the last 60 s"),
    _circuit("exposed", "1", _SECOND, "pairs kept in the suspect window, while an attack is suspected"),
    _circuit("wanted_fidelity", "1", _ASKED, "least mean fidelity that the file wants"),
    _circuit("wanted_per_s", "1/s", _ASKED, "least rate that the file wants"),
    _circuit("expected_fidelity", "1", _ASKED, "fidelity that links and memories make one expect"),
    _circuit("expected_per_s", "1/s", _ASKED, "rate that they make one expect"),
    _circuit("age_s", "s", _ASKED, "how old the last sample is"),
    Metric("memories[].held", "1", "forwarding.tel", _SECOND, "memory cells that hold half of a pair"),
    Metric("sessions[].age_s", "s", "service.tel", _ASKED, "how old the last sample of its KMEs is"),
    _store("size_bits", "size of the session's keys", "bit"),
    _store("depth", "keys of this KME's half that are wanted ready"),
    _store("keys_ready", "own keys that are ready"),
    _store("keys_reserved", "own keys on their way"),
    _store("keys_from_peer", "the peer's keys that wait to be fetched"),
    _store("keys_delivered", "keys given to SAEs"),
    _store("keys_destroyed", "keys that failed on their way"),
    _store("keys_expired", "keys that nobody fetched in time"),
    Metric(
        "exposures[].set_aside", "keys", "service.ctl", _CHANGE, "keys of suspect blocks that were set aside"
    ),
    Metric(
        "exposures[].exposed", "keys", "service.ctl", _CHANGE, "keys of suspect blocks that an SAE had before"
    ),
    Metric("refusals[].count", "1", "fabric", _ASKED, "how often a message was refused"),
    Metric("alarms[].raised_ps", "ps", "telemetry", _CHANGE, "since when an alarm stands, in network time"),
    *_lateness("lateness[]"),
)
