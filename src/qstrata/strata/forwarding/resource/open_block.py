"""A closed block of the device on its way into the relay's pool."""

from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.samples import BlockSample, Stages
from qstrata.physics.counts import Counts
from qstrata.physics.tallies import Tally, as_counts
from qstrata.strata.forwarding.resource.distiller import Outcome


class OpenBlock:
    """A closed block of the device that is not yet in the relay's pool."""

    __slots__ = (
        "bits",
        "counts",
        "estimate_qber",
        "finding",
        "leakage",
        "length",
        "provisioned",
        "since_ps",
        "stages",
        "tag_keys",
    )

    def __init__(self, counts: Tally, provisioned_bits: int, now: int) -> None:
        self.counts = counts
        self.provisioned = provisioned_bits > 0
        self.length = provisioned_bits
        self.leakage = 0
        self.estimate_qber = 0.0
        self.bits: KeyMaterial | None = None
        self.since_ps = now
        self.tag_keys = 0
        self.stages: Stages | None = None
        self.finding = ""

    def halve(self, now: int) -> "OpenBlock":
        """Split off the second half of a provisioned block, as a block of its own."""
        assert self.bits is not None
        bits, middle = self.bits, len(self.bits) // 2
        other = OpenBlock(self.counts, 0, now)
        other.provisioned = True
        other.bits = KeyMaterial(bits.reveal(middle))
        other.length = other.bits.size_bits
        self.bits = KeyMaterial(bits.reveal(0, middle))
        bits.wipe()
        self.length = self.bits.size_bits
        return other

    def sample(
        self, site: str, link: str, number: int, length: int, pulse_rate_hz: float, now: int
    ) -> BlockSample:
        """Say what came of the block: `length` bits of key."""
        duration_ps = round(self.counts.pulses / pulse_rate_hz * PS_PER_S) if pulse_rate_hz else 0
        return BlockSample(
            site=site,
            link=link,
            at_ps=now,
            block=number,
            length_bits=length,
            leakage_bits=self.leakage,
            duration_ps=duration_ps,
            qber=self.estimate_qber,
            provisioned=self.provisioned,
            stages=self.stages,
            counts=as_counts(self.counts) if self.stages is not None else None,
            finding=self.finding,
        )


def distilled_block(outcome: Outcome, now: int) -> OpenBlock:
    """Return the block of which the own end has distilled what came out."""
    stages = outcome.stages
    block = OpenBlock(outcome.counts, 0, now)
    block.bits, block.tag_keys, block.stages = outcome.bits, outcome.tag_keys, stages
    block.finding, block.length = outcome.finding, stages.secret_bits
    block.leakage = stages.parity_bits + stages.hash_bits + stages.count_bits
    block.estimate_qber = qber_of(outcome.counts, stages)
    return block


def qber_of(counts: Counts, stages: Stages) -> float:
    """Return the error rate of a distilled key, else that of the test bits, else 0."""
    if stages.secret_bits:
        return stages.corrected_bits / stages.sifted_bits
    tested = sum(counts.n[1])
    return sum(counts.m[1]) / tested if tested else 0.0
