"""Named randomness: each source has its own seed, and nothing is drawn from a global generator. No torch."""

import hashlib


def named_seed(seed: int, name: str) -> int:
    """Returns the seed, in [0, 2**63), of one named source of randomness: degrade, weights, input or perturb."""
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def mix(seed: int, step: int) -> int:
    """Returns a distinct 63-bit seed for every (seed, step) by splitmix64. Its low 32 bits are well mixed too, and the
    CPU generator uses only those."""
    word = (seed + (step + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (word ^ (word >> 31)) >> 1
