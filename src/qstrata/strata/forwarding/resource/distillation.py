"""The two ends of the distillation of one raw block: what each says next, and what came of it.

Theory of operation. The receiver tells where it detected and in which bases; the transmitter answers with its
bases, its intensities and its bits of the test basis. The receiver corrects its key by parities that it asks
for, round by round, and tells its own test bits and a hash of its key. The transmitter compares, bounds the
secret length from the counts of the block and from every bit that was told, draws the matrix of the
amplification, and tags all that was said in both directions; the receiver checks that tag and answers with
its own. Nothing here speaks: `Step` says what is to be sent.
"""

from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.core.randomness import RandomSource
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.device import Records
from qstrata.fabric.messages.east_west import (
    Amplify,
    Authenticated,
    Corrected,
    Detected,
    ParitiesAsked,
    ParitiesTold,
    Sifting,
    TagKeyGiven,
    TagKeyWanted,
)
from qstrata.fabric.messages.samples import Stages
from qstrata.physics.counts import Counts, Triple
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.finite_key import secret_length_bits
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.postprocessing.amplification import amplify, seed_bits
from qstrata.physics.postprocessing.authentication import KEY_BITS, Transcript, is_authentic, tag
from qstrata.physics.postprocessing.cascade import ErrorFinder, ParityTeller, frame_lengths
from qstrata.physics.postprocessing.estimation import block_counts, expected_qber
from qstrata.physics.postprocessing.sifting import (
    Bits,
    Sifted,
    pack_bits,
    sift,
    unpack_bits,
    unpack_intensities,
)
from qstrata.physics.postprocessing.verification import (
    HASH_BITS,
    POINT_BYTES,
    as_bytes,
    polynomial_hash,
)

TAG_KEYS_KEPT = 8
"""A link sets apart so much of each block that its ends hold keys for so many later blocks."""


class Distilled(msgspec.Struct, frozen=True):
    """What came of a block: its secret bits, and how many keys of them are to be set apart."""

    bits: KeyMaterial
    tag_keys: int


class Step(msgspec.Struct, frozen=True):
    """What is to be done next: tell the peer, ask the own relay, read the own records of these positions.

    Or the block is distilled, or given up for a reason.
    """

    to_peer: Message | None = None
    to_relay: TagKeyWanted | None = None
    read: bytes | None = None
    distilled: Distilled | None = None
    given_up: str = ""


NOTHING = Step()


class _End:
    """What both ends of a block do alike."""

    def __init__(self, link: str, block: int, parameters: LinkParameters, random: RandomSource) -> None:
        self.link = link
        self.block = block
        self.counts: Counts | None = None
        self._parameters = parameters
        self._random = random
        self._transcript = Transcript()
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
        return Stages(
            clicks=self._clicks,
            sifted_bits=len(self._key),
            test_bits=0 if self._sifted is None else len(self._sifted.test),
            corrected_bits=sum(self._errors),
            parity_bits=self._told_bits,
            hash_bits=HASH_BITS if self._secret_bits else 0,
            tag_bits=KEY_BITS if self._secret_bits else 0,
            secret_bits=self._secret_bits,
        )

    def again(self) -> Step:
        """Return what was said last, for a peer or a relay that did not answer."""
        return self._last

    def wipe(self) -> None:
        """Overwrite the key that this end holds, as well as may be."""
        self._key[:] = 0

    def _say(self, to_peer: Message | None = None, to_relay: TagKeyWanted | None = None) -> Step:
        self._last = Step(to_peer, to_relay)
        return self._last

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
        length = secret_length_bits(self.counts, self._parameters, self._told_bits + HASH_BITS)
        return length // 8 * 8

    def _distil(self, message: Amplify) -> Distilled:
        seed = unpack_bits(message.seed, seed_bits(len(self._key), message.length))
        secret = amplify(self._key, seed, message.length)
        self._secret_bits = message.length
        self.wipe()
        return Distilled(KeyMaterial(pack_bits(secret)), message.tag_keys)

    def _enter_amplify(self, message: Amplify) -> None:
        figures = f"{message.length} {message.tag_keys} {message.key}".encode()
        self._transcript.enter("amplify", figures, message.seed)

    def _enter_corrected(self, message: Corrected) -> None:
        self._transcript.enter(
            "corrected", message.test_bits, repr(message.errors).encode(), message.point, message.hash
        )


class TransmitterBlock(_End):
    """The transmitter's end of one raw block; its bits stand."""

    def __init__(self, link: str, block: int, parameters: LinkParameters, random: RandomSource) -> None:
        super().__init__(link, block, parameters, random)
        self.detected: Detected | None = None
        self._sent: Triple = (0, 0, 0)
        self._intensities: Bits = np.zeros(0, dtype=np.uint8)
        self._test: Bits = np.zeros(0, dtype=np.uint8)
        self._tellers: list[ParityTeller] = []
        self._serial = 0
        self._tag_key: KeyMaterial | None = None

    def hear_detected(self, message: Detected) -> Step:
        """Take in what the receiver detected, and read what was sent then; told once, tell it again."""
        if self._serial:
            raise InputError("the receiver began again after parities were told")
        if self.detected is None:
            self.detected = message
            self._transcript.enter("detected", message.positions, message.bases)
        return self._last if self._tellers else Step(read=self.detected.positions)

    def take_records(self, records: Records) -> Step:
        """Answer what was detected with what was sent then."""
        if self.detected is None or self._tellers:
            return self._last
        clicks = records.clicks
        if clicks != self.detected.clicks:
            raise InputError(f"{self.detected.clicks} clicks at {clicks} positions: give up the block")
        bases = unpack_bits(records.bases, clicks)
        bits = unpack_bits(records.bits.take(), clicks)
        self._test = self._sift(bases, unpack_bits(self.detected.bases, clicks), bits)
        self._sent = records.sent
        self._intensities = unpack_intensities(records.intensities, clicks)
        self._tellers = [ParityTeller(*frame) for frame in self._frames(self._key)]
        told = Sifting(
            self.link, self.block, records.sent, records.bases, records.intensities, pack_bits(self._test)
        )
        enter_sifting(self._transcript, told)
        return self._say(told)

    def answer(self, message: ParitiesAsked) -> Step:
        """Tell the parities of a round; those of the last round again, and of older ones no more."""
        if not self._tellers or len(message.questions) != len(self._tellers):
            raise InputError("parities are asked of a block that has not been sifted so")
        if message.serial == self._serial:
            return self._last
        if message.serial != self._serial + 1:
            return NOTHING
        self._serial = message.serial
        parities = tuple(
            pack_bits(teller.answer(unpack_questions(asked)))
            for teller, asked in zip(self._tellers, message.questions, strict=True)
        )
        self._told_bits = sum(teller.told_bits for teller in self._tellers)
        self._transcript.enter(f"round {self._serial}", *message.questions, *parities)
        return self._say(ParitiesTold(self.link, self.block, self._serial, parities))

    def compare(self, message: Corrected) -> Step:
        """Compare hash and test bits, bound the secret length, and ask for the key of the tags."""
        if self.counts is not None or self._sifted is None:
            return self._last
        test_errors = unpack_bits(message.test_bits, len(self._test)) ^ self._test
        self.counts = block_counts(self._sent, self._intensities, self._sifted, test_errors, message.errors)
        self._errors = message.errors
        self._enter_corrected(message)
        if hash_of(self._key, message.point) != message.hash:
            return Step(given_up="the keys of both ends differ after correction")
        if not self._secret_length():
            return Step(given_up="its counts prove no secret key")
        return self._say(to_relay=TagKeyWanted(self.link, self.block, ""))

    def sign(self, given: TagKeyGiven) -> Step:
        """Draw the matrix and tag the transcript; without a key of the relay, ask again later."""
        if not given.key or self._tag_key is not None:
            return NOTHING
        self._tag_key = given.bits
        length = self._secret_length()
        seed = self._random.bytes(-(-seed_bits(len(self._key), length) // 8))
        spare = len(seed) * 8 - seed_bits(len(self._key), length)
        seed = seed[:-1] + bytes([seed[-1] & 0xFF << spare & 0xFF])
        wanted = max(0, TAG_KEYS_KEPT - given.left)
        told = Amplify(self.link, self.block, length, seed, tag_keys_of(length, wanted), given.key, b"")
        self._enter_amplify(told)
        told = msgspec.structs.replace(told, tag=tag(self._transcript, given.bits, 0))
        return self._say(told)

    def finish(self, message: Authenticated) -> Step:
        """Check the receiver's tag, and make the key."""
        told = self._last.to_peer
        if self._tag_key is None or not isinstance(told, Amplify):
            return NOTHING
        if not is_authentic(self._transcript, self._tag_key, 1, message.tag):
            return Step(given_up="the receiver's tag does not fit what was told")
        return Step(distilled=self._distil(told))


class ReceiverBlock(_End):
    """The receiver's end of one raw block; it corrects its bits."""

    def __init__(self, link: str, block: int, parameters: LinkParameters, random: RandomSource) -> None:
        super().__init__(link, block, parameters, random)
        self._records: tuple[Bits, Bits] | None = None
        self._intensities: Bits = np.zeros(0, dtype=np.uint8)
        self._test: Bits = np.zeros(0, dtype=np.uint8)
        self._finders: list[ErrorFinder] = []
        self._serial = 0
        self._questions: tuple[bytes, ...] = ()
        self._amplify: Amplify | None = None

    @property
    def needs_records(self) -> bool:
        """Say whether the own records are still to be read."""
        return self._records is None

    def take_records(self, records: Records) -> Step:
        """Tell where this end detected, and in which bases."""
        if self._records is not None:
            return self._last
        bases = unpack_bits(records.bases, records.clicks)
        self._records = bases, unpack_bits(records.bits.take(), records.clicks)
        self._transcript.enter("detected", records.positions, records.bases)
        return self._say(Detected(self.link, self.block, records.clicks, records.positions, records.bases))

    def hear_sifting(self, message: Sifting) -> Step:
        """Sift, estimate, and ask the first questions; give up a block that can prove no key."""
        if self._records is None or self._finders:
            return NOTHING
        bases, bits = self._records
        sender_bases = unpack_bits(message.bases, len(bases))
        self._test = self._sift(sender_bases, bases, bits)
        assert self._sifted is not None
        self._intensities = unpack_intensities(message.intensities, len(bases))
        errors = self._test ^ unpack_bits(message.test_bits, len(self._test))
        self.counts = block_counts(message.sent, self._intensities, self._sifted, errors)
        enter_sifting(self._transcript, message)
        qber = expected_qber(self.counts)
        least = int(len(self._key) * binary_entropy(qber)) + HASH_BITS
        if not secret_length_bits(self.counts, self._parameters, least):
            return Step(given_up="its counts prove no secret key")
        self._finders = [ErrorFinder(*frame, qber) for frame in self._frames(self._key)]
        return self._ask()

    def hear_parities(self, message: ParitiesTold) -> Step:
        """Take the answers of this round in, and go on."""
        if message.serial != self._serial or isinstance(self._last.to_peer, Corrected):
            return NOTHING
        if len(message.parities) != len(self._finders):
            raise InputError("parities of another number of frames")
        for finder, asked, told in zip(self._finders, self._questions, message.parities, strict=True):
            finder.take(unpack_bits(told, len(asked) // _QUESTION_BYTES))
        self._transcript.enter(f"round {self._serial}", *self._questions, *message.parities)
        self._told_bits = sum(finder.asked_bits for finder in self._finders)
        return self._ask()

    def _ask(self) -> Step:
        asked = [finder.ask() for finder in self._finders]
        if any(finder.hopeless for finder in self._finders):
            return Step(given_up="parities contradict each other, or are more than the key has bits")
        if all(finder.done for finder in self._finders):
            return self._tell_corrected()
        self._serial += 1
        self._questions = tuple(questions.astype("<u4").tobytes() for questions in asked)
        return self._say(ParitiesAsked(self.link, self.block, self._serial, self._questions))

    def _tell_corrected(self) -> Step:
        assert self._sifted is not None
        assert self.counts is not None
        corrected = np.concatenate([finder.bits for finder in self._finders])
        wrong = self._intensities[self._sifted.key][corrected != self._key]
        signal, weak, vacuum = np.bincount(wrong, minlength=3).tolist()
        self._errors = signal, weak, vacuum
        self.counts = msgspec.structs.replace(self.counts, m=(self._errors, self.counts.m[1]))
        self._key = corrected
        self._told_bits = sum(finder.asked_bits for finder in self._finders)
        point = self._random.bytes(POINT_BYTES)
        told = Corrected(
            self.link, self.block, pack_bits(self._test), self._errors, point, hash_of(corrected, point)
        )
        self._enter_corrected(told)
        return self._say(told)

    def hear_amplify(self, message: Amplify) -> Step:
        """Agree on the length, and ask for the key of the tags."""
        if not isinstance(self._last.to_peer, Corrected) and self._amplify is None:
            return NOTHING
        if message.length != self._secret_length():
            return Step(given_up=f"{message.length} secret bits where this end finds another length")
        if message.tag_keys not in range(tag_keys_of(message.length, TAG_KEYS_KEPT) + 1):
            return Step(given_up="more key is to be set apart than the block has")
        self._amplify = message
        return self._say(to_relay=TagKeyWanted(self.link, self.block, message.key))

    def sign(self, given: TagKeyGiven) -> Step:
        """Check the transmitter's tag, answer with the own one, and make the key."""
        told = self._amplify
        if told is None:
            return NOTHING
        if given.key != told.key:
            return Step(given_up="this end does not hold the key of the tags")
        self._enter_amplify(told)
        if not is_authentic(self._transcript, given.bits, 0, told.tag):
            return Step(given_up="the transmitter's tag does not fit what was told")
        answer = Authenticated(self.link, self.block, tag(self._transcript, given.bits, 1))
        return Step(to_peer=answer, distilled=self._distil(told))


_QUESTION_BYTES = 4


def unpack_questions(packed: bytes) -> NDArray[np.int64]:
    """Return the questions of one frame; InputError for a text that is none."""
    if len(packed) % _QUESTION_BYTES:
        raise InputError(f"questions in {len(packed)} bytes: give {_QUESTION_BYTES} for each")
    return np.frombuffer(packed, dtype="<u4").astype(np.int64)


def hash_of(key: Bits, point: bytes) -> bytes:
    """Return the hash that tells whether both keys are equal; InputError for a point that is none."""
    return as_bytes(polynomial_hash(pack_bits(key), point))


def tag_keys_of(length_bits: int, wanted: int) -> int:
    """Return how many keys can be set apart of a block so long, which keeps a byte at least for itself."""
    return min(wanted, max(0, (length_bits - 8) // KEY_BITS))


def enter_sifting(transcript: Transcript, message: Sifting) -> None:
    """Enter what the transmitter told of its pulses."""
    sent = repr(message.sent).encode()
    transcript.enter("sifting", sent, message.bases, message.intensities, message.test_bits)
