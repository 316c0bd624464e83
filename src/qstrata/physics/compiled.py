"""Kernels of numbers: compiled by numba where it is installed, run by Python itself where it is not.

Both ways give the same bits: a kernel uses integers, comparisons and + - * / on floats in fixed order, and
no random draws, logarithms or exponentials, which numpy makes outside. NUMBA_DISABLE_JIT=1 in the
environment runs Python's way where numba is installed.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

HAS_NUMBA = find_spec("numba") is not None
"""Whether kernels are compiled here; without it they are 50 to 500 times slower."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of numbers and arrays at its first call, and keep what was compiled on disk.

    What is compiled holds no interpreter lock: calls in several threads, each with arrays of its own, run at
    once. A module that holds kernels takes 0.3 s to import: light commands import it only when they use it.
    """
    if not HAS_NUMBA:
        return function
    from numba import njit

    compiled: Callable[P, R]
    try:
        compiled = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder that it may write to
        compiled = njit(cache=False, nogil=True)(function)
    return compiled
