"""Kernels of Cascade: orders of bits, prefix parities, and the search for errors among parities told."""

import numpy as np
from numpy.typing import NDArray

from qstrata.physics.compiled import kernel

TOLD, ODD, TURNED, QUEUED = 1, 2, 4, 8
NOT_QUEUED = 255 - QUEUED
"""What one byte says of a cut of a pass. TOLD: the other end told it. ODD: then, how the prefix parities
of both ends differ. TURNED: parity of the flips made from the start of the segment that it halves up to
it; where a block starts, of the flips in that block. QUEUED: the segment that starts here waits."""

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
def prefix_parities(bits: Bytes, order: Places, first: int, step: int, parities: Bytes) -> None:
    """Write the parity of the first c bits into `parities[c]`, taking bit `order[(first + c step) mod n]`."""
    length = len(bits)
    at = first
    parity = 0
    for c in range(length):
        parities[c] = parity
        parity ^= int(bits[order[at]])
        at += step
        if at >= length:
            at -= length
    parities[length] = parity


@kernel
def segment(cuts: Bytes, size: int, length: int, place: int) -> tuple[int, int, int]:
    """Return start and end of the smallest told segment around a place, and its parity of errors left."""
    start = place // size * size
    end = min(start + size, length)
    before = (cuts[start] >> 1) & 1
    odd = before ^ ((cuts[end] >> 1) & 1) ^ ((cuts[start] >> 2) & 1)
    while end - start > 1:
        middle = (start + end) >> 1
        cut = cuts[middle]
        if not cut & TOLD:
            break
        at_cut = (cut >> 1) & 1
        left = before ^ at_cut ^ ((cut >> 2) & 1)
        if place < middle:
            end = middle
            odd = left
        else:
            start = middle
            before = at_cut
            odd ^= left
    return start, end, odd


@kernel
def note_flip(cuts: Bytes, size: int, length: int, place: int) -> int:
    """Note a flip at a place of one pass; return the start of its smallest told segment if that is odd now.

    Returns -1 where it is even, or waits already.
    """
    start = place // size * size
    end = min(start + size, length)
    cuts[start] ^= TURNED
    before = (cuts[start] >> 1) & 1
    odd = before ^ ((cuts[end] >> 1) & 1) ^ ((cuts[start] >> 2) & 1)
    found = start
    told = True
    while end - start > 1:
        middle = (start + end) >> 1
        if place < middle:
            cuts[middle] ^= TURNED
        cut = cuts[middle]
        told = told and (cut & TOLD) != 0
        if told:
            at_cut = (cut >> 1) & 1
            left = before ^ at_cut ^ ((cut >> 2) & 1)
            if place < middle:
                odd = left
            else:
                odd ^= left
                before = at_cut
                found = middle
        if place < middle:
            end = middle
        else:
            start = middle
    if odd and not cuts[found] & QUEUED:
        cuts[found] |= QUEUED
        return found
    return -1


@kernel
def take_answers(
    questions: Numbers, answers: Bytes, own: Bytes, cuts: Bytes, sizes: Numbers, queue: Numbers, waiting: int
) -> int:
    """Enter told parities, and queue the segments on both sides of each; returns how many wait."""
    width = cuts.shape[1]
    length = width - 1
    for i in range(len(questions)):
        which = questions[i] // width
        at = questions[i] % width
        cuts[which, at] |= TOLD | (int(answers[i] ^ own[which, at]) << 1)
    for i in range(len(questions)):
        which = questions[i] // width
        at = questions[i] % width
        for place in (at - 1, at):
            if place < length:
                start, _, odd = segment(cuts[which], sizes[which], length, place)
                if odd and not cuts[which, start] & QUEUED:
                    cuts[which, start] |= QUEUED
                    queue[waiting] = which * width + start
                    waiting += 1
    return waiting


@kernel
def search(
    bits: Bytes,
    shuffles: Places,
    places: Places,
    turns: Numbers,
    cuts: Bytes,
    sizes: Numbers,
    queue: Numbers,
    waiting: int,
    begun: int,
) -> int:
    """Flip every bit that is found; what waits are then the odd segments of two bits or more.

    `shuffles` and their inverses `places` have shape (shuffles, n); `turns[pass]` holds the shuffle of a
    pass, its factor, the factor's inverse and its offset; `cuts` has shape (passes, n + 1). Passes that
    have not `begun` see no flip. Returns how many segments wait, or -1 where told parities contradict each
    other: honest ones turn no bit twice, others may turn bits for ever.
    """
    width = cuts.shape[1]
    length = width - 1
    kept = 0
    flips = 0
    i = 0
    while i < waiting:
        which = queue[i] // width
        start, end, odd = segment(cuts[which], sizes[which], length, queue[i] % width)
        if odd and end - start > 1:
            queue[kept] = queue[i]
            kept += 1
        else:
            cuts[which, start] &= NOT_QUEUED
        if odd and end - start == 1:
            flips += 1
            if flips > length:
                return -1
            if waiting + begun > len(queue):
                # Room is made of what was looked at: each segment that waits is there but once.
                for j in range(i + 1, waiting):
                    queue[kept + j - i - 1] = queue[j]
                waiting += kept - i - 1
                i = kept - 1
            bit = shuffles[turns[which, 0], (start - turns[which, 3]) * turns[which, 2] % length]
            bits[bit] ^= 1
            for other in range(begun):
                place = (turns[other, 1] * places[turns[other, 0], bit] + turns[other, 3]) % length
                found = note_flip(cuts[other], sizes[other], length, place)
                if found >= 0:
                    queue[waiting] = other * width + found
                    waiting += 1
        i += 1
    return kept


@kernel
def middles(cuts: Bytes, sizes: Numbers, queue: Numbers, waiting: int, questions: Numbers) -> int:
    """Write the middle of every segment that waits and still is odd into `questions`; returns how many."""
    width = cuts.shape[1]
    asked = 0
    for i in range(waiting):
        which = queue[i] // width
        start, end, odd = segment(cuts[which], sizes[which], width - 1, queue[i] % width)
        cuts[which, start] &= NOT_QUEUED
        if odd:
            questions[asked] = which * width + ((start + end) >> 1)
            asked += 1
    return asked
