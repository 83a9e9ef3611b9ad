"""Defects of the text encoder and of its training."""

from __future__ import annotations

from planted.defect import of

_alphabet = of("text/alphabet.py", "tests/text/test_char_cnn_rnn.py")
_encoder = of("text/char_cnn_rnn.py", "tests/text/test_char_cnn_rnn.py")
_image_side = of("joint.py", "tests/training/test_encoder.py")
_joint = of("training/joint.py", "tests/training/test_encoder.py")
_training = of("training/encoder.py", "tests/training/test_encoder.py")

_HINGE = "test_structured_loss_of_a_known_matrix"
_FOLD = "test_folding_gives_mean_zero_and_mean_norm_ten"

DEFECTS = [
    _alphabet(
        "{character: number for number, character in enumerate(ALPHABET)}",
        "{character: ALPHABET.index(character) for character in ALPHABET}",
        "the later hyphen counts",
        "test_the_later_hyphen_counts",
    ),
    _alphabet(
        "_NUMBER.get(character, _SPACE)",
        "_NUMBER.get(character, len(ALPHABET))",
        "an unknown character is a space",
        "test_unknown_characters_are_spaces_and_capitals_are_small",
    ),
    _alphabet(
        "caption.lower()[: length - before]",
        "caption[: length - before]",
        "capitals are small letters",
        "test_unknown_characters_are_spaces_and_capitals_are_small",
    ),
    _alphabet(
        "caption.lower()[: length - before]",
        "caption.lower()[: length - before - 1]",
        "201 characters are read",
        "test_nothing_counts_after_201_characters",
    ),
    _alphabet(
        "torch.full((len(captions), length), len(ALPHABET)",
        "torch.full((len(captions), length), _SPACE",
        "the end is not a space",
        "test_the_end_is_not_a_space",
    ),
    _encoder(
        "F.threshold(self.rows, 1e-6, 0.0)",
        "self.rows",
        "what is negative becomes zero",
        "test_what_is_not_over_a_millionth_is_zero",
    ),
    _encoder(
        "F.threshold(self.rows, 1e-6, 0.0)",
        "F.relu(self.rows)",
        "what is not over a millionth becomes zero",
        "test_what_is_not_over_a_millionth_is_zero",
    ),
    _encoder(
        "state = inputs[0].tanh() if gru",
        "state = torch.sigmoid(self.i2h_update(x[:, 0])) * inputs[0].tanh() if gru",
        "the first state has no gate",
        "test_the_first_gru_state_has_no_gate_and_no_hidden_bias",
    ),
    _encoder(
        "else inputs[0].relu()",
        "else (inputs[0] + self.h2h.bias).relu()",
        "the first state has no hidden bias",
        "test_the_first_rnn_state_has_no_hidden_bias",
    ),
    _encoder(
        "return total / len(inputs)",
        "return total",
        "states are averaged, not summed",
        "test_the_mean_is_over_all_steps",
    ),
    _encoder(
        "return total / len(inputs)",
        "return state",
        "all states count, not the last alone",
        "test_the_mean_is_over_all_steps",
    ),
    _encoder(
        "seen = starts < self.lengths[:, None]",
        "seen = starts < self.lengths.min()",
        "a caption's embedding knows no other caption",
        "test_packing_changes_no_embedding",
    ),
    _encoder(
        "        if expected != {key: value.shape for key, value in own.items()}:",
        "        if not expected.keys() & own.keys():",
        "an encoder is loaded strictly",
        "test_a_missing_or_surplus_tensor_is_named",
    ),
    _joint(
        "(margin + scores - true[:, None])",
        "(scores - true[:, None] - margin)",
        "the margin's sign towards captions",
        _HINGE,
    ),
    _joint(
        "(margin + scores - true[None, :])",
        "(scores - true[None, :] - margin)",
        "the margin's sign towards images",
        _HINGE,
    ),
    _joint(
        "(by_image + by_caption) * other",
        "2 * by_image * other",
        "the hinge goes in both directions",
        _HINGE,
    ),
    _joint(
        "(by_image + by_caption) * other",
        "(by_image + by_caption) * ~torch.eye(len(scores), dtype=torch.bool)",
        "pairs of one class pay nothing",
        "test_structured_loss_is_symmetric_and_sees_no_pair_of_one_class",
    ),
    _joint(
        "F.cross_entropy(logits.T, own)",
        "F.cross_entropy(logits, own)",
        "the cross-entropy goes in both directions",
        "test_contrastive_loss_goes_in_both_directions",
    ),
    _joint(
        "MEAN_NORM = 10.0",
        "MEAN_NORM = 1.0",
        "folded embeddings have the mean norm 10",
        _FOLD,
    ),
    _joint(
        "layer.bias.copy_(-(states.mean(0) @ layer.weight.double().T))",
        "layer.bias.zero_()",
        "folded embeddings have the mean 0",
        _FOLD,
    ),
    _joint(
        "centred = (states - states.mean(0)) @",
        "centred = states @",
        "the norm is taken about the mean",
        _FOLD,
    ),
    _image_side(
        'embedding / extra["joint.scale"] + extra["joint.mean"]',
        'embedding / extra["joint.scale"]',
        "captions are compared in the space they were trained in",
        "test_the_fold_is_undone_where_captions_meet_photographs",
    ),
    _training(
        "sorted(usable[place] for place in order[held:])",
        "sorted(usable[place] for place in order)",
        "held-out images are never drawn",
        "test_held_out_images_are_never_drawn",
    ),
    _training(
        "(self.projection.weight.detach() / self.spread)",
        "self.projection.weight.detach()",
        "the image side in the file is the trained one",
        "test_the_image_side_in_the_file_is_the_trained_one",
    ),
]
