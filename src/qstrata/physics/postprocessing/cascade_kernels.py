"""Kernels of Cascade: orders of bits, prefix parities, and the search for errors among parities told.

The orders of all passes are one table `orders`, shape (passes, 5). A pass takes the bits as they are, or
where SHUFFLED is 1 as the shuffle puts them, and then either turns them, by FACTOR, its INVERSE and OFFSET
modulo the length, or, where SPLIT is not 0, puts those in front whose index has an even number of bits in
common with it. SPLIT is odd: of two neighbours one goes to each half.
"""

import numpy as np
from numpy.typing import NDArray

from qstrata.physics.compiled import kernel

SHUFFLED, FACTOR, INVERSE, OFFSET, SPLIT = 0, 1, 2, 3, 4
TOLD, ODD, TURNED, QUEUED, HOLDS = 1, 2, 4, 8, 16
_NOT_QUEUED, _NOT_HOLDS = 255 - QUEUED, 255 - HOLDS
"""What one byte says of a cut of a pass. TOLD: the other end told it. ODD: then, how the prefix parities
of both ends differed when the pass began. TURNED: parity of the flips made since from the start of the
segment that it halves up to it. HOLDS: parity of the errors left in the told segment that starts here.
QUEUED: that segment waits."""
_PLACE_BITS = 18
_PLACE = (1 << _PLACE_BITS) - 1
"""A segment waits as pass, start and end in one number; frames have fewer places."""

Bytes = NDArray[np.uint8]
Places = NDArray[np.int32]
Numbers = NDArray[np.int64]


@kernel
def shuffle(order: Places, draws: NDArray[np.uint32]) -> None:
    """Shuffle `order` in place by one 32-bit draw per bit (Fisher and Yates)."""
    for i in range(len(order) - 1, 0, -1):
        j = (np.int64(draws[i]) * (i + 1)) >> 32
        kept = order[i]
        order[i] = order[j]
        order[j] = kept


@kernel
def invert(order: Places, places: Places) -> None:
    """Write the place of every bit of an order."""
    for place in range(len(order)):
        places[order[place]] = place


@kernel
def parity(number: int) -> int:
    """Return the parity of the bits of a number below 2^32."""
    number ^= number >> 16
    number ^= number >> 8
    number ^= number >> 4
    return (0x6996 >> (number & 15)) & 1


@kernel
def place_of(order: Numbers, index: int, length: int) -> int:
    """Return the place in a pass of the bit that is at an index before it turns or splits."""
    split = order[SPLIT]
    if split == 0:
        return int((order[FACTOR] * index + order[OFFSET]) % length)
    if index + 1 < length or length & 1 == 0:
        return int((index >> 1) + parity(index & split) * ((length + 1) >> 1))
    return index >> 1


@kernel
def index_of(order: Numbers, place: int, length: int) -> int:
    """Return the index, before it turns or splits, of the bit at a place of a pass."""
    split = order[SPLIT]
    if split == 0:
        return int((place - order[OFFSET]) * order[INVERSE] % length)
    half = (length + 1) >> 1
    second = 1 if place >= half else 0
    index = 2 * (place - second * half)
    if index + 1 < length:
        index += parity(index & split) ^ second
    return index


@kernel
def prefix_parities(bits: Bytes, order: Numbers, parities: Bytes) -> None:
    """Write the parity of the first c bits of a pass into `parities[c]`; `bits` are shuffled if it is."""
    length = len(bits)
    held = 0
    if order[SPLIT] == 0:
        step = order[INVERSE]
        at = index_of(order, 0, length)
        for c in range(length):
            parities[c] = held
            held ^= int(bits[at])
            at += step
            if at >= length:
                at -= length
    else:
        for c in range(length):
            parities[c] = held
            held ^= int(bits[index_of(order, c, length)])
    parities[length] = held


@kernel
def answers_to(questions: Numbers, parities: Bytes, known: Bytes, answers: Bytes) -> int:
    """Look up the answers; return the first pass whose parities are not `known` yet, or -1.

    `known` is 0 for no parity of a pass, 1 for that of its first half, 2 for all. Returns the number of
    passes where a question is about none.
    """
    passes, width = parities.shape
    half = width >> 1
    for i in range(len(questions)):
        which = questions[i] // width
        cut = questions[i] - which * width
        if not 0 <= which < passes:
            return int(passes)
        if known[which] == 0 or (known[which] == 1 and cut != half):
            return int(which)
        answers[i] = parities[which, cut]
    return -1


@kernel
def open_blocks(number: int, differ: Bytes, cuts: Bytes, size: int, queue: Numbers) -> int:
    """Enter how parities differ at the ends of the blocks of a new pass; return how many blocks wait.

    `cuts` are those of the pass. In every pass but the first the end of the last block is known before.
    """
    length = len(cuts) - 1
    for i in range(len(differ)):
        cuts[min((i + 1) * size, length)] |= TOLD | (int(differ[i]) << 1)
    waiting = 0
    for start in range(0, length, size):
        end = min(start + size, length)
        if (cuts[start] ^ cuts[end]) & ODD:
            cuts[start] |= HOLDS | QUEUED
            queue[waiting] = (number << (2 * _PLACE_BITS)) | (start << _PLACE_BITS) | end
            waiting += 1
    return waiting


@kernel
def halve(answers: Bytes, own: Bytes, known: Bytes, cuts: Bytes, queue: Numbers) -> int:
    """Enter the parities told of the middles of the segments that waited; of each, the odd half waits.

    Returns -1, or, with nothing entered, the first pass whose `own` parities are not known yet.
    """
    for i in range(len(answers)):
        if not known[queue[i] >> (2 * _PLACE_BITS)]:
            return int(queue[i] >> (2 * _PLACE_BITS))
    for i in range(len(answers)):
        which = queue[i] >> (2 * _PLACE_BITS)
        start, end = (queue[i] >> _PLACE_BITS) & _PLACE, queue[i] & _PLACE
        middle = (start + end) >> 1
        odd = int(answers[i] ^ own[which, middle])
        turned = (int(cuts[which, middle]) >> 2) & 1
        left = odd ^ turned ^ ((int(cuts[which, start]) >> 1) & 1)
        cuts[which, middle] = TOLD | (odd << 1) | (turned << 2)
        if left:
            end = middle
        else:
            cuts[which, start] &= _NOT_HOLDS
            start = middle
        cuts[which, start] |= HOLDS | QUEUED
        queue[i] = (which << (2 * _PLACE_BITS)) | (start << _PLACE_BITS) | end
    return -1


@kernel
def note_flip(cuts: Bytes, size: int, length: int, place: int) -> int:
    """Note a flip at a place of one pass; return start and end of its told segment if that is to wait now.

    Returns -1 where it is even, or waits already.
    """
    start = place // size * size
    end = min(start + size, length)
    found, found_end = start, end
    told = True
    while end - start > 1:
        middle = (start + end) >> 1
        told = told and (cuts[middle] & TOLD) != 0
        if place < middle:
            cuts[middle] ^= TURNED
            end = middle
            if told:
                found_end = middle
        else:
            start = middle
            if told:
                found = middle
    cuts[found] ^= HOLDS
    if cuts[found] & (HOLDS | QUEUED) == HOLDS:
        cuts[found] |= QUEUED
        return (found << _PLACE_BITS) | found_end
    return -1


@kernel
def middles(cuts: Bytes, queue: Numbers, waiting: int, questions: Numbers) -> int:
    """Write the middle of every segment that waits and still is odd into `questions`; return how many."""
    asked = 0
    for i in range(waiting):
        which = queue[i] >> (2 * _PLACE_BITS)
        start, end = (queue[i] >> _PLACE_BITS) & _PLACE, queue[i] & _PLACE
        cuts[which, start] &= _NOT_QUEUED
        if cuts[which, start] & HOLDS:
            queue[asked] = queue[i]
            questions[asked] = which * cuts.shape[1] + ((start + end) >> 1)
            asked += 1
    return asked


@kernel
def search(
    bits: Bytes,
    shuffled: Bytes,
    shuffle: Places,
    places: Places,
    orders: Numbers,
    cuts: Bytes,
    sizes: Numbers,
    queue: Numbers,
    waiting: int,
    begun: int,
    questions: Numbers,
) -> int:
    """Flip every bit that is found, and write the middles of the odd segments that are left as questions.

    `bits` is the string, `shuffled` the same as the shuffle puts it; `places` is the inverse of the shuffle,
    `cuts` has shape (passes, n + 1). Passes that have not `begun` see no flip. Returns how many segments
    wait, in the order of their questions, or -1 where told parities contradict each other: honest ones
    turn no bit twice, others may turn bits for ever.
    """
    length = len(bits)
    kept = 0
    flips = 0
    i = 0
    while i < waiting:
        which = queue[i] >> (2 * _PLACE_BITS)
        start, end = (queue[i] >> _PLACE_BITS) & _PLACE, queue[i] & _PLACE
        if not cuts[which, start] & HOLDS:
            cuts[which, start] &= _NOT_QUEUED
        elif end - start > 1:
            queue[kept] = queue[i]
            kept += 1
        else:
            cuts[which, start] &= _NOT_QUEUED
            flips += 1
            if flips > length:
                return -1
            if waiting + begun > len(queue):
                # Room is made of what was looked at: each segment that waits is there but once.
                for j in range(i + 1, waiting):
                    queue[kept + j - i - 1] = queue[j]
                waiting += kept - i - 1
                i = kept - 1
            bit = index_of(orders[which], start, length)
            if orders[which, SHUFFLED]:
                bit = int(shuffle[bit])
            bits[bit] ^= 1
            shuffled[places[bit]] ^= 1
            for other in range(begun):
                index = int(places[bit]) if orders[other, SHUFFLED] else bit
                found = note_flip(cuts[other], sizes[other], length, place_of(orders[other], index, length))
                if found >= 0:
                    queue[waiting] = (other << (2 * _PLACE_BITS)) | found
                    waiting += 1
        i += 1
    return middles(cuts, queue, kept, questions)
