from qstrata.core.randomness import stream
from qstrata.physics.counts import Counts, zero
from qstrata.twin.blocks import HELD_BLOCKS, BlockHead, HeldBlocks

COUNTS = Counts(sent=(900, 90, 10), n=((80, 15, 5), (8, 1, 0)), m=((2, 1, 0), (0, 0, 0)), detections=120)
SENDER, RECEIVER = 0, 1


def holding(*heads):
    blocks = HeldBlocks()
    for head in heads:
        blocks.put(head, stream(1, "bits", head.number))
    return blocks


def block(number=1):
    return BlockHead(number, COUNTS, 0)


def read(blocks, end, number, length_bits):
    bits = blocks.read(end, number, length_bits)
    return None if bits is None else bits.reveal()


def test_both_ends_read_the_same_bits_as_often_as_they_like():
    blocks = holding(block())
    first = read(blocks, SENDER, 1, 64)
    assert len(first) == 8
    assert first == read(blocks, RECEIVER, 1, 64) == read(blocks, SENDER, 1, 64)


def test_a_shorter_read_is_the_beginning_of_a_longer_one_in_either_order():
    rising, falling = holding(block()), holding(block())
    short, long = read(rising, SENDER, 1, 40), read(rising, RECEIVER, 1, 96)
    assert long == read(falling, SENDER, 1, 96)
    assert short == read(falling, SENDER, 1, 40) == long[:5]


def test_a_length_within_a_byte_ends_in_zero_bits():
    blocks = holding(block())
    whole, part = read(blocks, SENDER, 1, 16), read(blocks, SENDER, 1, 11)
    assert part == bytes([whole[0], whole[1] & 0b1110_0000])


def test_no_more_is_read_than_the_sifted_bits_of_the_key_basis():
    blocks = holding(block())
    assert read(blocks, SENDER, 1, 100) is not None
    assert read(blocks, SENDER, 1, 101) is None
    assert read(blocks, SENDER, 1, 0) is None


def test_no_more_is_read_than_was_provisioned():
    blocks = holding(BlockHead(0, zero(), 256))
    assert len(read(blocks, RECEIVER, 0, 256)) == 32
    assert read(blocks, RECEIVER, 0, 257) is None


def test_a_discarded_block_is_gone_at_that_end_only():
    blocks = holding(block())
    kept = read(blocks, SENDER, 1, 64)
    blocks.discard(SENDER, 1)
    assert read(blocks, SENDER, 1, 64) is None
    assert blocks.heads(SENDER) == []
    assert read(blocks, RECEIVER, 1, 64) == kept
    blocks.discard(RECEIVER, 1)
    blocks.discard(RECEIVER, 1)
    assert read(blocks, RECEIVER, 1, 64) is None


def test_beyond_the_bound_the_oldest_block_is_lost_at_both_ends():
    blocks = holding(*(block(number) for number in range(1, HELD_BLOCKS + 2)))
    for end in (SENDER, RECEIVER):
        assert read(blocks, end, 1, 8) is None
        assert [head.number for head in blocks.heads(end)] == list(range(2, HELD_BLOCKS + 2))
