"""The engine `sequence`: decoy-state BB84 pulse by pulse in the simulator SeQUeNCe, in a process of its own.

Only what both ends sifted is taken from it; our own bounds say how much of that is key. Both ends choose
their bases evenly there, whatever the link's parameters say.
"""

import hashlib

import msgspec

from qstrata.core.effects import Work, WorkDone
from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import Counts
from qstrata.physics.parameters import LinkParameters
from qstrata.twin.blockwise import BlockwiseEngine, FindingError, FixedBits, Given
from qstrata.twin.contract import Capabilities, EngineFactory, LinkTask

SEQUENCE = "sequence"

PULSE_RATE_MAX_HZ = 1e6
"""Above, no machine keeps up: SeQUeNCe takes microseconds for each pulse."""


class SequenceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is asked for: pulses by intensity, and the figures of the link."""

    pulses: tuple[int, int, int]
    intensities: tuple[float, float, float]
    rate_hz: float
    length_km: float
    loss_db: float
    eta_bob: float
    y0: float
    e_d: float
    seed: int


class SequenceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker answers: counts as in `Counts`, and the bits of basis Z at both ends as 0 and 1.

    `took_s` is what it took by the clock.
    """

    sent: tuple[int, int, int] = (0, 0, 0)
    n: tuple[tuple[int, int, int], tuple[int, int, int]] = ((0, 0, 0), (0, 0, 0))
    m: tuple[tuple[int, int, int], tuple[int, int, int]] = ((0, 0, 0), (0, 0, 0))
    detections: int = 0
    alice: str = ""
    bob: str = ""
    error: str = ""
    took_s: float = 0.0


class SequenceWork(Work, frozen=True, kw_only=True):
    """Simulate pulses of a link in SeQUeNCe."""

    request: SequenceRequest


def engine(argument: str) -> EngineFactory:
    """Return what makes engines that run a link in SeQUeNCe; InputError where an argument is given."""
    if argument:
        raise InputError(f"the engine {SEQUENCE} takes no argument, and was given {argument!r}: leave it out")

    def make(task: LinkTask) -> BlockwiseEngine:
        return _Sequence(task).engine

    return make


def request(task: LinkTask, pulses: int, seed: int, parameters: LinkParameters) -> SequenceRequest:
    """Return the request for some pulses, shared over the intensities as often as they are chosen."""
    shares = stream(seed, "intensities").multinomial(pulses, parameters.intensity_probabilities)
    signal, weak, vacuum = shares.tolist()
    return SequenceRequest(
        pulses=(signal, weak, vacuum),
        intensities=parameters.intensities,
        rate_hz=parameters.pulse_rate_hz,
        length_km=task.length_km,
        loss_db=parameters.loss_db,
        eta_bob=parameters.eta_bob,
        y0=parameters.y0,
        e_d=parameters.e_d,
        seed=seed,
    )


def read_answer(output: bytes) -> SequenceAnswer:
    """Read what the worker answered; FindingError for what contradicts itself."""
    try:
        answer = msgspec.json.decode(output, type=SequenceAnswer)
    except msgspec.MsgspecError as fault:
        raise FindingError(f"SeQUeNCe answered nonsense: {fault}") from fault
    if answer.error:
        raise FindingError(f"SeQUeNCe failed: {answer.error}")
    errors = sum(a != b for a, b in zip(answer.alice, answer.bob, strict=False))
    if len(answer.alice) != len(answer.bob) or len(answer.alice) != sum(answer.n[0]):
        raise FindingError("SeQUeNCe gave keys of unequal lengths")
    if errors != sum(answer.m[0]) or set(answer.alice) - {"0", "1"}:
        raise FindingError("SeQUeNCe gave bits that its counts contradict")
    return answer


class _Sequence:
    def __init__(self, task: LinkTask) -> None:
        self._task = task
        if task.parameters.pulse_rate_hz > PULSE_RATE_MAX_HZ:
            raise InputError(
                f"link {task.link}: SeQUeNCe runs at most {PULSE_RATE_MAX_HZ:g} pulses a second: "
                "set a lower pulse-rate-hz, or another engine"
            )
        capabilities = Capabilities(name=SEQUENCE, off_loop=True)
        self.engine = BlockwiseEngine(task, capabilities, self._work, self._take)

    def _work(self, block: int, revision: int, parameters: LinkParameters) -> SequenceWork:
        pulses = round(self._task.block_ps * parameters.pulse_rate_hz / PS_PER_S)
        return SequenceWork(
            topic=f"engine {self._task.link}",
            limit_s=self._task.limit_s,
            request=request(self._task, pulses, self._task.draws(block, revision), parameters),
        )

    def _take(self, done: WorkDone) -> Given:
        if done.failure:
            raise FindingError(f"SeQUeNCe: {done.failure}")
        answer = read_answer(done.output)
        counts = Counts(answer.sent, answer.n, answer.m, answer.detections)
        return Given(counts=counts, bits=_hashed(answer.alice))


def _hashed(sifted: str) -> FixedBits:
    """Return the sender's sifted bits, hashed: what both ends hold once the receiver's are corrected.

    A longer read must begin with a shorter one, which an extendable hash gives (SHAKE256, FIPS 202).
    """
    return FixedBits(hashlib.shake_256(sifted.encode()).digest(len(sifted) // 8 + 8))
