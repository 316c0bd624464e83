"""What both ends of the distillation of one raw block do alike, and what they say next.

Theory of operation. The receiver tells where it detected and in which bases; the transmitter answers with its
bases, its intensities and its bits of the test basis. The receiver corrects its key by parities that it asks
for, round by round, and tells its own test bits and a hash of its key. The transmitter compares, bounds the
secret length from the counts of the block and from every bit that was told, and tags all that was said in
both directions with the matrix of the amplification; the receiver checks that tag and answers with its own.
Nothing here speaks: `Step` says what is to be sent. Nothing draws: what is random comes in.
"""

from hashlib import blake2b

import msgspec
import numpy as np

from qstrata.core.errors import InputError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.east_west import Amplify, Corrected, Sifting, TagKeyWanted
from qstrata.fabric.messages.samples import Stages
from qstrata.physics.counts import Counts, Triple
from qstrata.physics.finite_key import secret_length_bits
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.postprocessing.amplification import amplify, seed_bits
from qstrata.physics.postprocessing.authentication import KEY_BITS, Transcript
from qstrata.physics.postprocessing.cascade import frame_lengths
from qstrata.physics.postprocessing.estimation import error_count_bits
from qstrata.physics.postprocessing.sifting import Bits, Sifted, pack_bits, sift, unpack_bits
from qstrata.physics.postprocessing.verification import HASH_BITS, as_bytes, polynomial_hash

TAG_KEYS_KEPT = 8
"""A link sets apart so much of each block that its ends hold keys for so many later blocks."""
QUESTION_BYTES = 4


class Distilled(msgspec.Struct, frozen=True):
    """What came of a block: its secret bits, and how many keys of them are to be set apart."""

    bits: KeyMaterial
    tag_keys: int


class Step(msgspec.Struct, frozen=True):
    """What is to be done next: tell the peer, ask the own relay, read the own records of these positions.

    Or the block is distilled, or given up for a reason. With the key that the relay gives come `draw_bytes`
    random bytes.
    """

    to_peer: Message | None = None
    to_relay: TagKeyWanted | None = None
    read: bytes | None = None
    draw_bytes: int = 0
    distilled: Distilled | None = None
    given_up: str = ""


NOTHING = Step()


class BlockEnd:
    """What both ends of a block do alike; one thread at a time works on an end."""

    def __init__(self, link: str, block: int, parameters: LinkParameters) -> None:
        self.link = link
        self.block = block
        self.counts: Counts | None = None
        self._parameters = parameters
        self._transcript = Transcript()
        self._tag_key: KeyMaterial | None = None
        self._last = NOTHING
        self._key: Bits = np.zeros(0, dtype=np.uint8)
        self._sifted: Sifted | None = None
        self._clicks = 0
        self._errors: Triple = (0, 0, 0)
        self._told_bits = 0
        self._secret_bits = 0

    @property
    def stages(self) -> Stages:
        """Return how many bits the block had at each stage, as far as it came."""
        made = self._secret_bits > 0
        return Stages(
            clicks=self._clicks,
            sifted_bits=len(self._key),
            test_bits=0 if self._sifted is None else len(self._sifted.test),
            corrected_bits=sum(self._errors),
            parity_bits=self._told_bits,
            hash_bits=HASH_BITS if made else 0,
            count_bits=error_count_bits(self.counts) if made and self.counts is not None else 0,
            tag_bits=KEY_BITS if made else 0,
            secret_bits=self._secret_bits,
        )

    def again(self) -> Step:
        """Return what was said last, for a peer or a relay that did not answer."""
        return self._last

    def wipe(self) -> None:
        """Overwrite the key that this end holds, and that of its tags, as well as may be."""
        self._key[:] = 0
        if self._tag_key is not None:
            self._tag_key.wipe()

    def _say(self, step: Step) -> Step:
        self._last = step
        return step

    def _sift(self, sender_bases: Bits, receiver_bases: Bits, bits: Bits) -> Bits:
        """Keep the bits of the key; return those of the test."""
        self._clicks = len(bits)
        self._sifted = sift(sender_bases, receiver_bases)
        self._key = bits[self._sifted.key]
        return bits[self._sifted.test]

    def _frames(self, bits: Bits) -> list[tuple[Bits, int]]:
        """Cut a key into frames, each with the seed of its orders."""
        lengths = frame_lengths(len(bits))
        if not lengths:
            raise InputError(f"{len(bits)} sifted bits: too few to correct")
        ends = np.cumsum(lengths)[:-1]
        return [
            (frame, int.from_bytes(blake2b(f"{self.link}/{self.block}/{n}".encode(), digest_size=8).digest()))
            for n, frame in enumerate(np.split(bits, ends))
        ]

    def _secret_length(self) -> int:
        assert self.counts is not None
        told_bits = self._told_bits + HASH_BITS + error_count_bits(self.counts)
        return secret_length_bits(self.counts, self._parameters, told_bits) // 8 * 8

    def _distil(self, message: Amplify) -> Distilled:
        seed = unpack_bits(message.seed, seed_bits(len(self._key), message.length))
        secret = amplify(self._key, seed, message.length)
        self._secret_bits = message.length
        distilled = Distilled(KeyMaterial(pack_bits(secret)), message.tag_keys)
        secret[:] = 0
        self.wipe()
        return distilled

    def _enter_sifting(self, message: Sifting) -> None:
        sent = repr(message.sent).encode()
        self._transcript.enter("sifting", sent, message.bases, message.intensities, message.test_bits)

    def _enter_amplify(self, message: Amplify) -> None:
        figures = f"{message.length} {message.tag_keys} {message.key}".encode()
        self._transcript.enter("amplify", figures, message.seed)

    def _enter_corrected(self, message: Corrected) -> None:
        self._transcript.enter(
            "corrected", message.test_bits, repr(message.errors).encode(), message.point, message.hash
        )


def hash_of(key: Bits, point: bytes) -> bytes:
    """Return the hash that tells whether both keys are equal; InputError for a point that is none."""
    return as_bytes(polynomial_hash(pack_bits(key), point))


def tag_keys_of(length_bits: int, wanted: int) -> int:
    """Return how many keys can be set apart of a block so long, which keeps a byte at least for itself."""
    return min(wanted, max(0, (length_bits - 8) // KEY_BITS))
