"""Seeds: one run seed gives independent, named streams of randomness.

Every consumer of randomness asks for its own seed by name, so that adding a consumer changes no other stream and
each can be varied alone.
"""

import hashlib


def derive_seed(seed: int, purpose: str, *indices: int) -> int:
    """A 63-bit seed for `purpose` (e.g. "weights", "worlds", "sampling"), independent for every argument tuple.

    Args:
        seed: the run's seed, any integer.
        purpose: what the randomness is for.
        indices: further integers, e.g. a world or episode index.
    """
    text = "/".join([str(int(seed)), purpose, *(str(int(index)) for index in indices)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
