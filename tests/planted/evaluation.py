"""Defects of the scores, of the frozen networks behind them, and of the report."""

from __future__ import annotations

from planted.defect import of

_scores = of("evaluation/scores.py", "tests/evaluation/test_scores.py")
_neighbours = of("evaluation/neighbours.py", "tests/evaluation/test_neighbours.py")
_report = of("evaluation/report.py", "tests/evaluation/test_report.py")
_features = of("networks/features.py", "tests/networks/test_features.py")

_LOOPS = "test_kid_is_the_mean_over_all_pairs_but_a_picture_with_itself"
_SHIFT = "test_swd_of_a_shift_at_the_coarsest_level_is_the_closed_form"
_BATCHED = "test_features_do_not_depend_on_order_or_batch"

DEFECTS = [
    _report(
        "drawn += [captions[turn % len(captions)]] * min(",
        "drawn += [captions[0]] * min(",
        "more pictures than examples go on with the other captions",
        "test_more_pictures_than_examples_go_round_all_captions",
    ),
    _report(
        "captions = sentences(chosen, count or len(chosen), copies)",
        "captions = sentences(chosen, len(chosen), copies)",
        "as many pictures as were asked for are drawn",
        "test_every_picture_asked_for_is_drawn_and_counted",
    ),
    _scores("(m * (m - 1))", "(m * m)", "KID is unbiased", _LOOPS),
    _scores(
        "(same_x.sum() - same_x.diagonal().sum())",
        "same_x.sum()",
        "KID compares no picture with itself",
        _LOOPS,
    ),
    _scores("- 2 * _kernel(x, y)", "- _kernel(x, y)", "KID's cross term counts twice", _LOOPS),
    _scores(
        "return features.to(torch.float64), reference.to(torch.float64)",
        "return features, reference",
        "scores are summed in float64",
        "test_scores_are_summed_in_float64",
    ),
    _scores(
        "/ (len(x) - 1) ** 0.5",
        "/ len(x) ** 0.5",
        "covariances divide by n - 1",
        "test_frechet_distance_of_diagonal_gaussians_is_the_closed_form",
    ),
    _scores(
        "deviation = real_patches.std(",
        "deviation = my_patches.std(",
        "SWD measures in the reference's deviation",
        "test_swd_measures_in_the_deviation_of_the_reference",
    ),
    _scores(
        "((my_patches - mean) / deviation)",
        "((my_patches - my_patches.mean(dim=(0, 2), keepdim=True)) / deviation)",
        "a wrong colour costs",
        _SHIFT,
    ),
    _scores(
        "_patches(mine, _contents(pixels), (seed, level))",
        "_patches(mine, list(range(len(pixels))), (seed, level))",
        "SWD does not depend on the order of the pictures",
        "test_swd_of_equal_sets_is_zero_in_any_order",
    ),
    _scores(
        "np.random.default_rng(seed)\n",
        "np.random.default_rng(0)\n",
        "SWD's directions are the seed's",
        "test_swd_draws_its_directions_from_its_seed",
    ),
    _neighbours(
        "apart[own, own + start]",
        "apart[own, own]",
        "no picture is its own neighbour",
        "test_the_nearest_other_is_never_the_picture_itself",
    ),
    _neighbours(
        'compute_mode="donot_use_mm_for_euclid_dist"',
        'compute_mode="use_mm_for_euclid_dist"',
        "small distances are not lost",
        "test_small_distances_are_exact_even_far_from_the_origin",
    ),
    _report(
        "seed + place for place",
        "seed for place",
        "picture i has seed plus i",
        "test_picture_i_is_of_the_first_caption_with_seed_plus_i",
    ),
    _report(
        "swd(photographs[:half:2], photographs[1:half:2], seed)",
        "swd(photographs[:half:2], photographs[:half:2], seed)",
        "the floor compares one half with the other",
        "test_the_photographs_themselves_score_zero",
    ),
    _features(
        "Image.Resampling.BICUBIC",
        "Image.Resampling.BILINEAR",
        "pictures are resized by the bicubic",
        "test_resizing_is_pillows_bicubic",
    ),
    _features(
        ".sub_(127.0)",
        ".sub_(0.0)",
        "the network's own normalisation",
        "test_features_are_the_pooled_maps_of_resized_and_normalised_pixels",
    ),
    _features(
        "        del mode\n        super().train(False)",
        "        super().train(mode)",
        "a frozen network stays in evaluation mode",
        "test_frozen_is_bit_equal_after_training_mode_and_use",
    ),
    _features(
        "super().train(False)",
        "super().train(True)",
        "a picture's features do not depend on the pictures beside it",
        _BATCHED,
    ),
    _features(
        "range(0, len(pixels), BATCH_SIZE)",
        "range(0, len(pixels) - BATCH_SIZE + 1, BATCH_SIZE)",
        "no picture of a last, smaller batch is left out",
        _BATCHED,
    ),
    _features(
        "            if count < BATCH_SIZE:",
        "            if False:",
        "no score depends on the batch size",
        "test_every_pass_is_of_one_size",
    ),
]
