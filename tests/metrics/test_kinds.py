"""Output kinds: which depend on the seed, which are chosen with the truth, which are pictures."""

from dip_exp.metrics import kinds


def test_oracles_are_the_kinds_chosen_with_the_truth():
    assert set(kinds.ORACLES) == {kinds.PEAK, kinds.PEAK_AVERAGE}
    assert all(kinds.kind(name).meaning.startswith("oracle") for name in kinds.ORACLES)


def test_maps_are_the_kinds_that_are_no_estimate_of_the_picture():
    assert set(kinds.MAPS) == {kinds.STD, kinds.POSTERIOR_STD, "missing"}


def test_what_is_given_is_there_before_the_fit():
    given = {name for name, kind in kinds.KINDS.items() if kind.given}
    assert given == {kinds.OBSERVATION, kinds.BASELINE, "guide", "truth", "missing"}


def test_a_rivals_picture_is_a_baseline_and_a_rules_choice_a_stopped_one():
    assert kinds.kind("baseline_bm3d") is kinds.KINDS[kinds.BASELINE]
    assert kinds.kind("stopped_emv") is kinds.KINDS[kinds.STOPPED]
    assert kinds.kind("peak_average") is kinds.KINDS[kinds.PEAK_AVERAGE]
    for own in ("enhanced", "peak_of_my_own", "observation_2"):
        assert kinds.kind(own) is kinds.DERIVED
        assert not (kinds.DERIVED.oracle)
        assert not (kinds.DERIVED.is_map)
        assert not (kinds.DERIVED.given)


def test_of_the_seed_are_the_estimates_that_a_fit_makes_in_their_order():
    names = ["stopped_emv", *kinds.KINDS, "baseline_bm3d", "enhanced"]
    expected = ["stopped_emv", "last", "average", "stopped", "pasted", "posterior", "enhanced"]
    assert kinds.of_the_seed(names) == expected
