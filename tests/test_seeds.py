"""Named randomness: published values of what is used, and seeds that do not meet."""

import hashlib

from dip_exp.seeds import mix, named_seed

# The first outputs of splitmix64 as its author published it (Vigna, https://prng.di.unimi.it/splitmix64.c), by seed.
SPLITMIX64 = {
    1234567: [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ],
    0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
}


def test_the_seed_of_a_step_is_the_output_of_splitmix64_without_its_last_bit():
    for seed, outputs in SPLITMIX64.items():
        assert [mix(seed, step) for step in range(len(outputs))] == [output // 2 for output in outputs]


def test_seeds_of_steps_have_63_bits_for_every_seed_that_has_them():
    seeds = [mix(seed, step) for seed in (0, 1, 2**62, 2**63 - 1) for step in range(1000)]
    assert len(set(seeds)) == len(seeds)
    assert 2**62 < max(seeds) < 2**63
    assert min(seeds) >= 0


def test_a_named_seed_is_the_first_63_bits_of_the_hash_of_name_and_seed():
    for name in ("degrade", "weights"):
        for seed in (0, 1, 12345):
            bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(f"{name}:{seed}".encode()).digest())
            assert named_seed(seed, name) == int(bits[:63], 2)
