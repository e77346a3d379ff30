"""Random numbers of a world: one 64-bit state per stream, split by key, the same compiled and interpreted.

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
Differs in: streams are split by mixing a key into the seed instead of by drawing a new increment.
"""

import numpy as np

from metta.sim.compiled import inner

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S32 = np.uint64(32)

PURPOSE_MAP = np.uint64(1)
PURPOSE_ORDER = np.uint64(2)
PURPOSE_FIRST_LENGTH = np.uint64(3)
PURPOSE_VARIANT = np.uint64(4)
PURPOSE_CUE = np.uint64(5)


@inner
def mix(word: np.uint64) -> np.uint64:
    """A bijection of 64-bit words in which every input bit changes about half of the output bits."""
    word = (word ^ (word >> _S30)) * _MIX_A
    word = (word ^ (word >> _S27)) * _MIX_B
    return word ^ (word >> _S31)


@inner
def stream(seed: np.uint64, world: int, episode: int, purpose: np.uint64) -> np.uint64:
    """First state of the stream for this purpose; a function of its arguments alone."""
    key = mix(seed + GOLDEN)
    key = mix((key ^ np.uint64(world)) + GOLDEN)
    key = mix((key ^ np.uint64(episode)) + GOLDEN)
    return mix((key ^ purpose) + GOLDEN)


@inner
def below(state: np.uint64, bound: int) -> np.int64:
    """An integer in 0..bound-1 from the state's high half (bound < 2**32; bias below 2**-32 * bound)."""
    return np.int64(((mix(state) >> _S32) * np.uint64(bound)) >> _S32)
