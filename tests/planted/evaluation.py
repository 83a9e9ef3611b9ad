"""Defects of the scores, of the frozen networks behind them, and of the report."""

from __future__ import annotations

from planted.defect import of

_METRICS = "tests/evaluation/metrics"
_kid, _frechet, _swd, _sides, _diversity, _neighbours, _pr, _r_precision, _spectrum = (
    of(f"evaluation/metrics/{name}.py", f"{_METRICS}/test_{name}.py")
    for name in ("kid", "frechet", "swd", "sides", "diversity", "neighbours", "precision_recall",
                 "r_precision", "spectrum")
)  # fmt: skip
_protocol = of("evaluation/protocol.py", "tests/evaluation/test_protocol.py")
_drawn = of("evaluation/protocol.py", "tests/evaluation/test_report.py")
_report = of("evaluation/report.py", "tests/evaluation/test_report.py")
_loaded = of("networks/image_networks.py", "tests/networks/test_image_networks.py")
_features = of("networks/features.py", "tests/networks/test_features.py")

_LOOPS = "test_kid_is_the_mean_over_all_pairs_but_a_picture_with_itself"
_SHIFT = "test_swd_of_a_shift_at_the_coarsest_level_is_the_closed_form"
_LINE = "test_precision_and_recall_of_points_on_a_line"
_WAVE = "test_a_wave_is_found_with_its_period_direction_and_power"
_BATCHED = "test_features_do_not_depend_on_order_or_batch"

DEFECTS = [
    _protocol(
        "drawn += [captions[turn % len(captions)]] * min(",
        "drawn += [captions[0]] * min(",
        "more pictures than examples go on with the other captions",
        "test_more_pictures_than_examples_go_round_all_captions",
    ),
    _drawn(
        "captions = sentences(chosen, count or len(chosen), copies)",
        "captions = sentences(chosen, len(chosen), copies)",
        "as many pictures as were asked for are drawn",
        "test_every_picture_asked_for_is_drawn_and_counted",
    ),
    _kid("(m * (m - 1))", "(m * m)", "KID is unbiased", _LOOPS),
    _kid(
        "(same_x.sum() - same_x.diagonal().sum())",
        "same_x.sum()",
        "KID compares no picture with itself",
        _LOOPS,
    ),
    _kid("- 2 * _kernel(x, y)", "- _kernel(x, y)", "KID's cross term counts twice", _LOOPS),
    _sides(
        "return features.to(torch.float64), reference.to(torch.float64)",
        "return features, reference",
        "scores are summed in float64",
        "test_scores_are_summed_in_float64",
    ),
    _frechet(
        "/ (len(x) - 1) ** 0.5",
        "/ len(x) ** 0.5",
        "covariances divide by n - 1",
        "test_frechet_distance_of_diagonal_gaussians_is_the_closed_form",
    ),
    _swd(
        "deviation = real_patches.std(",
        "deviation = my_patches.std(",
        "SWD measures in the reference's deviation",
        "test_swd_measures_in_the_deviation_of_the_reference",
    ),
    _swd(
        "((my_patches - mean) / deviation)",
        "((my_patches - my_patches.mean(dim=(0, 2), keepdim=True)) / deviation)",
        "a wrong colour costs",
        _SHIFT,
    ),
    _swd(
        "_patches(mine, _contents(pixels), (seed, level))",
        "_patches(mine, list(range(len(pixels))), (seed, level))",
        "SWD does not depend on the order of the pictures",
        "test_swd_of_equal_sets_is_zero_in_any_order",
    ),
    _swd(
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
    _drawn(
        "self.seed + place for place",
        "self.seed for place",
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
        "range(0, len(pixels), batch_size)",
        "range(0, len(pixels) - batch_size + 1, batch_size)",
        "no picture of a last, smaller batch is left out",
        _BATCHED,
    ),
    _features(
        "        if count < batch_size:",
        "        if False:",
        "no score depends on the batch size",
        "test_every_pass_is_of_one_size",
    ),
    _report(
        "Score(*pair, protocol)",
        "Score(*pair, {})",
        "a score carries its protocol",
        "test_the_protocol_travels_with_the_scores",
    ),
    _report(
        "SHORT_NAMES.get(network.name, network.name)",
        'SHORT_NAMES["efficientnet-lite0"]',
        "a score is named after its own extractor",
        "test_every_picture_asked_for_is_drawn_and_counted",
    ),
    _drawn(
        "{network.sha256}, {network.reads}",
        "{network.sha256}",
        "the protocol says how pixels are read",
        "test_every_picture_asked_for_is_drawn_and_counted",
    ),
    _protocol(
        "return read_pixels(self.examples, size_px, self.fit)",
        "return read_pixels(self.examples, size_px)",
        "photographs are fitted as was asked",
        "test_what_is_chosen_tells_itself",
    ),
    _diversity(
        "torch.pdist(features.to(torch.float64)).mean()",
        "torch.cdist(features, features).double().mean()",
        "diversity is over pairs of pictures",
        "test_diversity_is_the_mean_over_pairs",
    ),
    _sides(
        '            raise InputError("the features hold values that are not finite")',
        "            pass",
        "features that are not finite have no score",
        "test_features_that_cannot_be_compared_are_refused",
    ),
    _pr(
        "(apart <= _reach(theirs, neighbours)[None, :])",
        "(apart <= _reach(mine, neighbours)[:, None])",
        "precision is of the reference's neighbourhoods",
        _LINE,
    ),
    _pr("NEIGHBOURS = 3", "NEIGHBOURS = 2", "the third neighbour", _LINE),
    _pr(
        "apart.fill_diagonal_(torch.inf)",
        "apart.fill_diagonal_(0)",
        "a picture is no neighbour of itself",
        _LINE,
    ),
    _pr(
        "features.to(torch.float64), reference.to(torch.float64)",
        "reference.to(torch.float64), features.to(torch.float64)",
        "precision stands before recall",
        _LINE,
    ),
    _pr(
        "    comparable(features, reference)\n",
        "",
        "what cannot be compared has no precision",
        "test_what_cannot_be_compared_is_refused_too",
    ),
    _r_precision(
        "(pool >= own[:, None]) & other",
        "(pool >= own[:, None])",
        "captions of the own class are no rivals",
        "test_captions_of_the_own_class_are_never_drawn",
    ),
    _r_precision(
        "pool >= own[:, None]",
        "pool > own[:, None]",
        "as good a fit is no worse one",
        "test_a_caption_that_fits_as_well_is_none_that_fits_worse",
    ),
    _r_precision(
        "math.comb(total - better, drawn - k)",
        "math.comb(total, drawn - k)",
        "captions are drawn without replacement",
        "test_it_is_the_mean_over_all_draws",
    ),
    _r_precision(
        "TOP = 10",
        "TOP = 11",
        "ten, the own among them",
        "test_the_ten_that_fit_best_are_the_own_and_nine_better",
    ),
    _r_precision(
        "(1 - worse).mean()",
        "worse.mean()",
        "a better fit has a higher AUC",
        "test_a_caption_that_always_fits_best_carries_all_and_worst_nothing",
    ),
    _r_precision(
        "top1.std(ddof=1)",
        "top1.std()",
        "the error is of a sample",
        "test_it_is_the_mean_over_all_draws",
    ),
    _spectrum(
        "ratio = mine / theirs.clamp_min(1e-9)",
        "ratio = theirs / mine",
        "a peak is of the pictures over the photographs",
        _WAVE,
    ),
    _spectrum(
        "math.atan2(down, across)",
        "math.atan2(across, down)",
        "0 degrees is a pattern from left to right",
        _WAVE,
    ),
    _spectrum(
        "rfft2((windows - mean) * window)",
        "rfft2(windows - mean)",
        "borders cast no cross",
        _WAVE,
    ),
    _spectrum(
        ".abs().double().square()",
        ".abs().double()",
        "power, not amplitude",
        "test_twice_the_deviation_is_four_times_the_power_in_every_ring",
    ),
    _spectrum(
        "counted = theirs >= noise",
        "counted = theirs >= 0",
        "where the photographs have next to nothing does not count",
        "test_what_photographs_have_next_to_nothing_of_does_not_count",
    ),
    _spectrum(
        "if not len(pixels) or min(",
        "if min(",
        "a spectrum of nothing is refused",
        "test_spectra_of_nothing_and_of_less_than_a_window_are_refused",
    ),
    _loaded(
        "load_state_dict(tensors, strict=True)",
        "load_state_dict(tensors, strict=False)",
        "a file holds the network's own weights",
        "test_weights_of_another_network_are_refused",
    ),
    _loaded(
        "return hashlib.sha256(data)",
        "return hashlib.sha256(name.encode())",
        "a network names its weights",
        "test_a_loaded_network_names_itself_and_its_file",
    ),
    _loaded(
        ".sub_(self.mean).div_(self.std)",
        ".sub_(self.mean)",
        "a loaded network's own normalisation",
        "test_features_are_the_module_s_of_resized_and_normalised_pixels",
    ),
    _loaded(
        "            self.batch_size,\n            resampler=self.resampler,\n",
        "            self.batch_size,\n",
        "a loaded network's own resampler",
        "test_features_are_the_module_s_of_resized_and_normalised_pixels",
    ),
    _loaded(
        "            self.batch_size,\n",
        "            max(1, len(pixels)),\n",
        "every pass of a loaded network is of one size",
        "test_every_pass_is_of_one_size_and_progress_counts_pictures",
    ),
    _loaded(
        "        del mode\n        super().train(False)",
        "        super().train(mode)",
        "a loaded network stays in evaluation mode",
        "test_frozen_is_bit_equal_after_training_mode_and_use",
    ),
    _loaded(
        "self.requires_grad_(False)",
        "self.requires_grad_(True)",
        "a loaded network is frozen",
        "test_frozen_is_bit_equal_after_training_mode_and_use",
    ),
    _loaded(
        "if min(stds) <= 0:",
        "if min(stds) < 0:",
        "nothing is divided by zero",
        "test_numbers_that_cannot_be_are_refused",
    ),
    _loaded(
        "found.ndim != 2",
        "found.ndim < 2",
        "maps are no features",
        "test_a_network_that_does_not_pool_is_refused",
    ),
]
