"""The transmitter's end of the distillation of one raw block: its bits stand."""

import msgspec
import numpy as np
from numpy.typing import NDArray

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
from qstrata.physics.counts import Triple
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.postprocessing.amplification import seed_bits
from qstrata.physics.postprocessing.authentication import is_authentic, tag
from qstrata.physics.postprocessing.cascade import ParityTeller
from qstrata.physics.postprocessing.estimation import block_counts
from qstrata.physics.postprocessing.sifting import Bits, pack_bits, unpack_bits, unpack_intensities
from qstrata.strata.forwarding.resource.distillation import (
    NOTHING,
    QUESTION_BYTES,
    TAG_KEYS_KEPT,
    BlockEnd,
    Step,
    hash_of,
    tag_keys_of,
)


class TransmitterBlock(BlockEnd):
    """The transmitter's end of one raw block; its bits stand."""

    def __init__(self, link: str, block: int, parameters: LinkParameters) -> None:
        super().__init__(link, block, parameters)
        self._detected: Detected | None = None
        self._sent: Triple = (0, 0, 0)
        self._intensities: Bits = np.zeros(0, dtype=np.uint8)
        self._test: Bits = np.zeros(0, dtype=np.uint8)
        self._tellers: list[ParityTeller] = []
        self._serial = 0
        self._repeated_in = 0

    def wipe(self) -> None:
        """Overwrite the key that this end holds, and let go what tells its parities."""
        super().wipe()
        self._tellers = []

    def hear_detected(self, message: Detected) -> Step:
        """Take in what the receiver detected, and read what was sent then; told once, tell it again.

        Once parities were told, a repetition is let pass: one alone in a round is an old message that came
        again. A receiver that began again says nothing else, and its block is lost: InputError.
        """
        if self._serial:
            if message != self._detected or self._repeated_in == self._serial:
                raise InputError("the receiver began again after parities were told")
            self._repeated_in = self._serial
            return NOTHING
        if self._detected is None:
            self._detected = message
            self._transcript.enter("detected", message.positions, message.bases)
        return self._last if self._tellers else Step(read=self._detected.positions)

    def take_records(self, records: Records) -> Step:
        """Answer what was detected with what was sent then."""
        if self._detected is None or self._tellers:
            return self._last
        clicks = records.clicks
        if clicks != self._detected.clicks:
            raise InputError(f"{self._detected.clicks} clicks at {clicks} positions: give up the block")
        bases = unpack_bits(records.bases, clicks)
        bits = unpack_bits(records.bits.take(), clicks)
        self._test = self._sift(bases, unpack_bits(self._detected.bases, clicks), bits)
        bits[:] = 0
        self._sent = records.sent
        self._intensities = unpack_intensities(records.intensities, clicks)
        self._tellers = [ParityTeller(*frame) for frame in self._frames(self._key)]
        told = Sifting(
            self.link, self.block, records.sent, records.bases, records.intensities, pack_bits(self._test)
        )
        self._enter_sifting(told)
        return self._say(Step(told))

    def answer(self, message: ParitiesAsked) -> Step:
        """Tell the parities of a round; those of the last round again, and of older ones no more.

        Once the keys are compared none are told: the length that was agreed does not count them.
        """
        if not self._tellers or len(message.questions) != len(self._tellers):
            raise InputError("parities are asked of a block that has not been sifted so")
        if message.serial == self._serial:
            return self._last
        if self.counts is not None or message.serial != self._serial + 1:
            return NOTHING
        self._serial = message.serial
        parities = tuple(
            pack_bits(teller.answer(unpack_questions(asked)))
            for teller, asked in zip(self._tellers, message.questions, strict=True)
        )
        self._told_bits = sum(teller.told_bits for teller in self._tellers)
        self._transcript.enter(f"round {self._serial}", *message.questions, *parities)
        return self._say(Step(ParitiesTold(self.link, self.block, self._serial, parities)))

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
        length = self._secret_length()
        if not length:
            return Step(given_up="its counts prove no secret key")
        drawn = -(-seed_bits(len(self._key), length) // 8)
        return self._say(Step(to_relay=TagKeyWanted(self.link, self.block, ""), draw_bytes=drawn))

    def sign(self, given: TagKeyGiven, drawn: bytes) -> Step:
        """Tag the transcript with the matrix that was drawn; without a key of the relay, ask again later."""
        if not given.key or self._tag_key is not None:
            return NOTHING
        self._tag_key = given.bits
        length = self._secret_length()
        spare = len(drawn) * 8 - seed_bits(len(self._key), length)
        seed = drawn[:-1] + bytes([drawn[-1] & 0xFF << spare & 0xFF])
        wanted = max(0, TAG_KEYS_KEPT - given.left)
        told = Amplify(self.link, self.block, length, seed, tag_keys_of(length, wanted), given.key, b"")
        self._enter_amplify(told)
        told = msgspec.structs.replace(told, tag=tag(self._transcript, given.bits, 0))
        return self._say(Step(told))

    def finish(self, message: Authenticated) -> Step:
        """Check the receiver's tag, and make the key."""
        told = self._last.to_peer
        if self._tag_key is None or not isinstance(told, Amplify):
            return NOTHING
        if not is_authentic(self._transcript, self._tag_key, 1, message.tag):
            return Step(given_up="the receiver's tag does not fit what was told")
        return Step(distilled=self._distil(told))


def unpack_questions(packed: bytes) -> NDArray[np.int64]:
    """Return the questions of one frame; InputError for a text that is none."""
    if len(packed) % QUESTION_BYTES:
        raise InputError(f"questions in {len(packed)} bytes: give {QUESTION_BYTES} for each")
    return np.frombuffer(packed, dtype="<u4").astype(np.int64)
