"""Defects of wordings as people type them, of names, and of the spaces before a caption."""

from __future__ import annotations

from planted.defect import of

_words = of("text/wordings.py", "tests/text/test_wordings.py")
_batches = of("data/batches.py", "tests/data/test_batches.py")
_prepare = of("training/prepare.py", "tests/training/test_prepare.py")
_training = of("training/encoder.py", "tests/training/test_encoder.py")
_joint = of("training/joint.py", "tests/training/test_encoder.py")
_encoder = of("text/char_cnn_rnn.py", "tests/training/test_encoder.py")
_oxford102 = of("data/oxford102.py", "tests/data/test_readers.py")

_SHARE = "test_wordings_take_their_share_and_wrong_ones_never_fit"
_FORMS = "test_plurals_and_articles"
_SHOWN = "test_a_share_of_the_captions_shown_are_wordings_that_fit_their_class"
_PAD = "test_a_trained_encoder_reads_its_pad_and_keeps_it"
_NAMED = "test_flowers_are_called_as_the_list_beside_them_says"

DEFECTS = [
    _batches(
        "random.random(len(examples)) < self.typed.share",
        "random.random(len(examples)) < 0.33",
        "the share of wordings is the setting's",
        _SHARE,
    ),
    _batches(
        "self._typed_rows[self._typed_starts[examples] + wording]",
        "self._typed_rows[wording]",
        "a wording is the example's own",
        _SHARE,
    ),
    _batches(
        "fits = self.typed.words[row] <= self.typed.known[example]",
        "fits = False",
        "a wording that fits is no wrong one",
        _SHARE,
    ),
    _prepare(
        "{place[line]: content(line)",
        "{place[line]: frozenset()",
        "what a wording says is known",
        "test_a_photograph_s_rows_are_its_own_captions_and_wordings",
    ),
    _prepare(
        "wordings_of(subjects, captions, settings.seed)",
        "wordings_of(subjects, captions, 0)",
        "wordings are of the run's seed",
        "test_a_photograph_s_rows_are_its_own_captions_and_wordings",
    ),
    _prepare(
        "if isinstance(encoder, Precomputed):",
        "if False:",
        "embeddings from a file have no wordings",
        "test_embeddings_from_a_file_have_no_wordings_and_it_is_said",
    ),
    _training(
        "if share > 0 and float(", "if False and float(", "wordings have their share", _SHOWN
    ),
    _training("[said <= self.known[image] or", "[False or", "a pair that fits is left out", _SHOWN),
    _training(
        "low, high = pad // 2, pad + pad // 2",
        "low, high = pad, pad",
        "spaces differ while an encoder learns",
        "test_spaces_before_a_caption_differ_while_it_is_trained",
    ),
    _joint(
        "other = other & ~fits",
        "pass",
        "the hinge leaves out pairs that fit",
        "test_losses_leave_out_what_fits_beside_its_own",
    ),
    _joint(
        'logits = logits.masked_fill(beside, float("-inf"))',
        "pass",
        "the cross-entropy leaves out pairs that fit",
        "test_losses_leave_out_what_fits_beside_its_own",
    ),
    _joint(
        "beside = fits & ~torch.eye(len(fits), dtype=torch.bool, device=fits.device)",
        "beside = fits",
        "no image is left without its own caption",
        "test_losses_leave_out_what_fits_beside_its_own",
    ),
    _encoder(
        '**({"pad": str(self.pad)} if self.pad else {}),',
        "",
        "the spaces are kept in the file",
        _PAD,
    ),
    _encoder(
        "return numbers(captions, pad=self.pad)",
        "return numbers(captions)",
        "an encoder reads its spaces",
        _PAD,
    ),
    _encoder(
        "self.length = LENGTH - pad",
        "self.length = LENGTH",
        "spaces take the place of characters",
        _PAD,
    ),
    of("text/alphabet.py", "tests/training/test_encoder.py")(
        "before = pad if isinstance(pad, int) else pad[row]",
        "before = pad if isinstance(pad, int) else pad[0]",
        "each caption has its own spaces",
        "test_spaces_before_a_caption_differ_while_it_is_trained",
    ),
    _words(
        'if is_plural(name) or " in " in name:',
        'if " in " in name:',
        "a plural stays a plural",
        _FORMS,
    ),
    _words("if last in _IRREGULAR:", "if False:", "feet are not foots", _FORMS),
    _words('last = f"{last[:-1]}ies"', 'last += "s"', "daisy, daisies", _FORMS),
    _words(
        'return f"{plural(first)} of {rest}"',
        'return f"{first} of {rest}s"',
        "birds of paradise",
        _FORMS,
    ),
    _words("[aeiou]|hour|honest|heir", "[aeiou]", "an hourglass", _FORMS),
    _words(
        "        if word in _PART:\n            return False\n",
        "",
        "a part's colour is not the whole's",
        "test_colours_are_the_petals_own",
    ),
    _words(
        "return None if parts[-1] in COLOURS.union(NOUNS) else parts[-1]",
        "return parts[-1]",
        "a balloon flower is no kind of flower",
        "test_short_names_only_where_they_are_kinds",
    ),
    _words(
        "for word in words(caption)} - COLOURS",
        "for word in words(caption)}",
        "a stamen's colour is not the flower's",
        "test_what_a_wording_says_and_whom_it_fits",
    ),
    _words(
        "return frozenset(words(line)) - _FILLER",
        "return frozenset(words(line))",
        "please says nothing",
        "test_what_a_wording_says_and_whom_it_fits",
    ),
    _words(
        'Random(f"{seed} {place}")',
        'Random(f"{seed}")',
        "wordings are of seed and place",
        "test_wordings_follow_from_seed_and_place_alone",
    ),
    _oxford102("{int(key):05}", "{int(key):04}", "names are found by the class's folder", _NAMED),
    _oxford102("subject=names.get(class_name)", "subject=None", "flowers have names", _NAMED),
    _oxford102(
        "found + _name_faults(root, listed) + text_faults",
        "found + text_faults",
        "classes without a name are told",
        _NAMED,
    ),
    _oxford102(
        "if not all(names.values()):",
        "if False:",
        "a damaged list of names is said",
        "test_a_damaged_list_of_names_is_one_sentence",
    ),
    of("data/cub.py", "tests/data/test_cub.py")(
        "readable(class_name)",
        "class_name",
        "birds have names that people write",
        "test_splits_follow_the_pickles_sorted_with_captions_class_and_box",
    ),
]
