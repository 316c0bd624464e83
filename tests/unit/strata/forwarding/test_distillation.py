"""Both ends of a raw block, spoken to directly: what reaches the other end may be altered on its way."""

import msgspec
import numpy as np
import pytest

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.device import Read
from qstrata.fabric.messages.east_west import (
    Amplify,
    Authenticated,
    Corrected,
    Detected,
    ParitiesAsked,
    ParitiesTold,
    Sifting,
    TagKeyGiven,
)
from qstrata.physics.click_records import Clicks, counts_of
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.finite_key import key_length_bits
from qstrata.physics.postprocessing.authentication import KEY_BITS
from qstrata.physics.postprocessing.verification import POINT_BYTES
from qstrata.physics.profiles import profile
from qstrata.strata.forwarding.resource.distillation import Step, tag_keys_of
from qstrata.strata.forwarding.resource.receiver_block import ReceiverBlock
from qstrata.strata.forwarding.resource.transmitter_block import TransmitterBlock
from qstrata.twin.raw import receiver_records, transmitter_records

LINK = msgspec.structs.replace(
    profile().link_parameters(loss_db=4.0), eta_bob=0.2, e_d=0.01, weak_intensity=0.1
)
PULSES = 20_000_000
TAG_KEY = bytes(range(KEY_BITS // 8))


@pytest.fixture(scope="module")
def block():
    generator, sampler = stream(1, "raw"), ClickSampler(LINK)
    clicks = sampler.sample(generator, PULSES)
    return clicks, sampler.sent(generator, clicks, PULSES)


class Ends:
    """A block at both its ends; `alter` may change what goes from one to the other."""

    def __init__(self, block, alter=lambda message: message, tag_keys=(TAG_KEY, TAG_KEY), link=LINK):
        self.clicks, self.sent = block
        self.alter = alter
        self.tag_keys = tag_keys
        self.random = stream(2, "ends")
        self.transmitter = TransmitterBlock("a-b", 7, link)
        self.receiver = ReceiverBlock("a-b", 7, link, self.random.bytes(POINT_BYTES))
        self.distilled = {}
        self.given_up = {}

    def play(self):
        """Carry words to and fro until both ends are done or one has given up."""
        records = receiver_records(Read("r", 7, 0), self.clicks, self.sent)
        words = [("transmitter", self.receiver.take_records(records).to_peer)]
        while words and not self.given_up:
            name, message = words.pop(0)
            step = self.follow(name, self.alter(message))
            if step is None:
                break
            while step.read is not None or step.to_relay is not None:
                step = self.serve(name, step)
            other = "receiver" if name == "transmitter" else "transmitter"
            if step.to_peer is not None:
                words.append((other, step.to_peer))
            if step.distilled is not None:
                self.distilled[name] = step.distilled
            if step.given_up:
                self.given_up[name] = step.given_up
        return self

    def follow(self, name, message):
        end = getattr(self, name)
        act = {
            Detected: "hear_detected",
            Sifting: "hear_sifting",
            ParitiesAsked: "answer",
            ParitiesTold: "hear_parities",
            Corrected: "compare",
            Amplify: "hear_amplify",
            Authenticated: "finish",
        }[type(message)]
        try:
            return getattr(end, act)(message)
        except InputError as error:
            self.given_up[name] = str(error)
            return None

    def serve(self, name, step):
        end = getattr(self, name)
        if step.read is not None:
            records = transmitter_records(Read("t", 7, 0, step.read), self.clicks, self.sent)
            try:
                return end.take_records(records)
            except InputError as error:
                return Step(given_up=str(error))
        key = self.tag_keys[name == "receiver"]
        wanted = step.to_relay.key or "a-b/0/0"
        given = TagKeyGiven("a-b", 7, wanted if key else "", KeyMaterial(key), 3)
        return end.sign(given, self.random.bytes(step.draw_bytes))


def test_both_ends_distil_equal_bits_and_agree_on_what_is_set_apart(block):
    ends = Ends(block).play()
    ours, theirs = ends.distilled["transmitter"], ends.distilled["receiver"]
    assert ours.bits == theirs.bits
    # Three keys are left of the eight that a link keeps.
    assert ours.tag_keys == theirs.tag_keys == 5
    assert ends.transmitter.stages == ends.receiver.stages
    stages = ends.receiver.stages
    assert stages.clicks == len(ends.clicks.records)
    assert stages.secret_bits == ours.bits.size_bits
    both_z = (ends.clicks.sender_bases == 0) & (ends.clicks.receiver_bases == 0)
    wrong = ends.clicks.sender_bits != ends.clicks.receiver_bits
    assert stages.sifted_bits == both_z.sum()
    assert stages.corrected_bits == (both_z & wrong).sum()


def test_with_one_decoy_no_more_key_is_made_than_the_errors_of_the_key_let_be_proved():
    link = msgspec.structs.replace(
        LINK, signal_probability=0.5, weak_probability=0.5, vacuum_probability=0.0, y0=2e-4
    )
    generator, sampler = stream(3, "raw"), ClickSampler(link)
    clicks = sampler.sample(generator, 5 * PULSES)
    ends = Ends((clicks, sampler.sent(generator, clicks, 5 * PULSES)), link=link).play()
    stages = ends.transmitter.stages
    # All that a world which sees both ends knows, and the bound of the paper upon it.
    proved = key_length_bits(counts_of(clicks, ends.sent), link)
    told_bits = stages.parity_bits + stages.hash_bits + stages.count_bits
    assert 0 < stages.secret_bits <= proved.length_bits + proved.leakage_bits + 51 - told_bits
    assert ends.distilled["transmitter"].bits == ends.distilled["receiver"].bits


def flipped(packed, at=10):
    return packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]


ALTERED = {
    "number of clicks": (Detected, lambda m: {"clicks": m.clicks - 1}),
    "bases of the receiver": (Detected, lambda m: {"bases": flipped(m.bases)}),
    "intensities": (Sifting, lambda m: {"intensities": flipped(m.intensities)}),
    "bits of the test": (Sifting, lambda m: {"test_bits": flipped(m.test_bits)}),
    "figures of the errors": (Corrected, lambda m: {"errors": (0, 0, 0)}),
    "errors that cannot be": (Corrected, lambda m: {"errors": (-1, 0, 0)}),
    "test bits of the receiver": (Corrected, lambda m: {"test_bits": flipped(m.test_bits)}),
    "hash": (Corrected, lambda m: {"hash": flipped(m.hash)}),
    "seed of the amplification": (Amplify, lambda m: {"seed": flipped(m.seed)}),
    "length": (Amplify, lambda m: {"length": m.length + 8}),
    "keys set apart": (Amplify, lambda m: {"tag_keys": m.tag_keys + 1}),
    "tag of the transmitter": (Amplify, lambda m: {"tag": flipped(m.tag)}),
    "tag of the receiver": (Authenticated, lambda m: {"tag": flipped(m.tag)}),
}


@pytest.mark.parametrize("what", ALTERED)
def test_whatever_is_altered_on_the_way_costs_the_block(block, what):
    kind, changes = ALTERED[what]

    def alter(message):
        return msgspec.structs.replace(message, **changes(message)) if type(message) is kind else message

    ends = Ends(block, alter).play()
    assert ends.given_up
    assert "transmitter" not in ends.distilled


def test_parities_altered_on_the_way_cost_the_block(block):
    def alter(message):
        if isinstance(message, ParitiesTold) and message.serial == 1:
            first, *others = message.parities
            return msgspec.structs.replace(message, parities=(flipped(first), *others))
        return message

    ends = Ends(block, alter).play()
    assert ends.given_up
    assert not ends.distilled


def test_ends_with_different_keys_for_tags_give_the_block_up(block):
    ends = Ends(block, tag_keys=(TAG_KEY, TAG_KEY[::-1])).play()
    assert ends.given_up == {"receiver": "the transmitter's tag does not fit what was told"}
    assert not ends.distilled


def test_without_a_key_for_tags_at_the_receiver_the_block_is_given_up(block):
    assert Ends(block, tag_keys=(TAG_KEY, b"")).play().given_up == {
        "receiver": "this end does not hold the key of the tags"
    }


def test_without_a_key_for_tags_at_the_transmitter_it_is_asked_for_again(block):
    ends = Ends(block, tag_keys=(b"", TAG_KEY)).play()
    assert not ends.given_up
    assert ends.transmitter.again().to_relay is not None


def test_a_round_asked_again_is_answered_alike_and_told_once(block):
    answers = {}

    def alter(message):
        if isinstance(message, ParitiesAsked):
            told = ends.transmitter.answer(message).to_peer
            answers[message.serial] = told
            assert ends.transmitter.answer(message).to_peer == told
        return message

    ends = Ends(block, alter)
    ends.play()
    assert ends.distilled
    bytes_told = sum(len(text) for told in answers.values() for text in told.parities)
    assert ends.transmitter.stages.parity_bits <= 8 * bytes_told
    assert ends.transmitter.stages.parity_bits == ends.receiver.stages.parity_bits


@pytest.mark.parametrize("when", [Amplify, Authenticated])
def test_no_parity_is_told_that_the_agreed_length_does_not_count(block, when):
    asked, told_bits = [], []

    def alter(message):
        if isinstance(message, ParitiesAsked):
            asked.append(message)
        if isinstance(message, when):
            before = ends.transmitter.stages.parity_bits
            late = msgspec.structs.replace(asked[0], serial=asked[-1].serial + 1)
            assert ends.transmitter.answer(late).to_peer is None
            told_bits.append(ends.transmitter.stages.parity_bits - before)
        return message

    ends = Ends(block, alter)
    ends.play()
    assert told_bits == [0]
    assert ends.distilled["transmitter"].bits == ends.distilled["receiver"].bits


def test_a_receiver_that_begins_again_after_parities_were_told_loses_the_block(block):
    first = []

    def alter(message):
        if isinstance(message, Detected):
            first.append(message)
        if isinstance(message, Corrected):
            # It says nothing but this, again and again.
            ends.transmitter.hear_detected(first[0])
            with pytest.raises(InputError, match="began again"):
                ends.transmitter.hear_detected(first[0])
        return message

    ends = Ends(block, alter)
    ends.play()
    assert first


def test_a_first_word_that_is_replayed_in_every_round_costs_nothing(block):
    first = []

    def alter(message):
        if isinstance(message, Detected):
            first.append(message)
        elif isinstance(message, ParitiesTold):
            assert ends.transmitter.hear_detected(first[0]) == Step()
        return message

    ends = Ends(block, alter)
    ends.play()
    assert ends.distilled["transmitter"].bits == ends.distilled["receiver"].bits


def test_another_first_word_after_parities_were_told_loses_the_block(block):
    first = []

    def alter(message):
        if isinstance(message, Detected):
            first.append(message)
        if isinstance(message, Corrected):
            with pytest.raises(InputError, match="began again"):
                ends.transmitter.hear_detected(msgspec.structs.replace(first[0], bases=b""))
        return message

    ends = Ends(block, alter)
    ends.play()
    assert first


def test_a_block_of_a_few_clicks_is_given_up():
    few = Clicks(np.arange(5), np.zeros(5, dtype=np.uint8)), (5, 5, 5)
    assert Ends(few).play().given_up == {"transmitter": "5 sifted bits: too few to correct"}


def test_no_more_key_is_set_apart_than_the_block_has():
    assert tag_keys_of(3 * KEY_BITS, 8) == 2
    assert tag_keys_of(8, 8) == 0
    assert tag_keys_of(10**6, 8) == 8
