"""The receiver's end of the distillation of one raw block: it corrects its bits."""

import msgspec
import numpy as np

from qstrata.core.errors import InputError
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
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.finite_key import secret_length_bits
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.postprocessing.authentication import is_authentic, tag
from qstrata.physics.postprocessing.cascade import ErrorFinder
from qstrata.physics.postprocessing.estimation import block_counts, expected_qber
from qstrata.physics.postprocessing.sifting import Bits, pack_bits, unpack_bits, unpack_intensities
from qstrata.physics.postprocessing.verification import HASH_BITS
from qstrata.strata.forwarding.resource.distillation import (
    NOTHING,
    QUESTION_BYTES,
    TAG_KEYS_KEPT,
    BlockEnd,
    Step,
    hash_of,
    tag_keys_of,
)


class ReceiverBlock(BlockEnd):
    """The receiver's end of one raw block; it corrects its bits.

    `point` (POINT_BYTES random bytes) is where its key is hashed: drawn for this block alone, and told to
    nobody before the key is corrected.
    """

    def __init__(self, link: str, block: int, parameters: LinkParameters, point: bytes) -> None:
        super().__init__(link, block, parameters)
        self._point = point
        self._records: tuple[Bits, Bits] | None = None
        self._intensities: Bits = np.zeros(0, dtype=np.uint8)
        self._test: Bits = np.zeros(0, dtype=np.uint8)
        self._finders: list[ErrorFinder] = []
        self._serial = 0
        self._questions: tuple[bytes, ...] = ()
        self._amplify: Amplify | None = None

    def wipe(self) -> None:
        """Overwrite the key that this end holds, and the records that it comes from, as well as may be."""
        super().wipe()
        for finder in self._finders:
            finder.bits[:] = 0
        self._finders = []
        if self._records is not None:
            self._records[1][:] = 0

    def take_records(self, records: Records) -> Step:
        """Tell where this end detected, and in which bases."""
        if self._records is not None:
            return self._last
        bases = unpack_bits(records.bases, records.clicks)
        self._records = bases, unpack_bits(records.bits.take(), records.clicks)
        self._transcript.enter("detected", records.positions, records.bases)
        told = Detected(self.link, self.block, records.clicks, records.positions, records.bases)
        return self._say(Step(told))

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
        self._enter_sifting(message)
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
            finder.take(unpack_bits(told, len(asked) // QUESTION_BYTES))
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
        return self._say(Step(ParitiesAsked(self.link, self.block, self._serial, self._questions)))

    def _tell_corrected(self) -> Step:
        assert self._sifted is not None
        assert self.counts is not None
        corrected = np.concatenate([finder.bits for finder in self._finders])
        wrong = self._intensities[self._sifted.key][corrected != self._key]
        signal, weak, vacuum = np.bincount(wrong, minlength=3).tolist()
        self._errors = signal, weak, vacuum
        self.counts = msgspec.structs.replace(self.counts, m=(self._errors, self.counts.m[1]))
        self._key[:] = 0
        self._key = corrected
        self._told_bits = sum(finder.asked_bits for finder in self._finders)
        point = self._point
        told = Corrected(
            self.link, self.block, pack_bits(self._test), self._errors, point, hash_of(corrected, point)
        )
        self._enter_corrected(told)
        return self._say(Step(told))

    def hear_amplify(self, message: Amplify) -> Step:
        """Agree on the length, and ask for the key of the tags."""
        if not isinstance(self._last.to_peer, Corrected) and self._amplify is None:
            return NOTHING
        if message.length != self._secret_length():
            return Step(given_up=f"{message.length} secret bits where this end finds another length")
        if message.tag_keys not in range(tag_keys_of(message.length, TAG_KEYS_KEPT) + 1):
            return Step(given_up="more key is to be set apart than the block has")
        self._amplify = message
        return self._say(Step(to_relay=TagKeyWanted(self.link, self.block, message.key)))

    def sign(self, given: TagKeyGiven, drawn: bytes = b"") -> Step:
        """Check the transmitter's tag, answer with the own one, and make the key; nothing is drawn here."""
        told = self._amplify
        if told is None:
            return NOTHING
        self._tag_key = given.bits
        if given.key != told.key:
            return Step(given_up="this end does not hold the key of the tags")
        self._enter_amplify(told)
        if not is_authentic(self._transcript, given.bits, 0, told.tag):
            return Step(given_up="the transmitter's tag does not fit what was told")
        answer = Authenticated(self.link, self.block, tag(self._transcript, given.bits, 1))
        return Step(to_peer=answer, distilled=self._distil(told))
