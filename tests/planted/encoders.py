"""Defects of the encoders by name: word vectors, sentences, tables, and which one a model has."""

from __future__ import annotations

from planted.defect import of

_published = of("text/char_cnn_rnn.py", "tests/text/test_published_encoders.py")
_vectors = of("text/vectors.py", "tests/text/test_vectors.py")
_vector_files = of("text/vector_files.py", "tests/text/test_vectors.py")
_sentence = of("text/sentence.py", "tests/text/test_sentence.py")
_table = of("text/precomputed.py", "tests/text/test_precomputed.py")
_captions = of("text/captions.py", "tests/cli/test_encoder_verb.py")
_file = of("text/encoder_file.py", "tests/text/test_char_cnn_rnn.py")
_which = of("encoders.py", "tests/test_encoders.py")

_GONE_ON = "test_gone_on_is_the_same_file_as_never_stopped"
_FORMATS = "test_embed_reads_every_kind_of_captions_file"

DEFECTS = [
    _published(
        'Sizes(hidden=512, recurrence="gru", third_pool=False)',
        'Sizes(hidden=512, recurrence="gru")',
        "the ICML birds variant has 18 steps",
        "test_sizes_are_read_from_the_weights",
    ),
    _published(
        '"gru" if gru else "rnn", third_pool=not gru',
        '"gru" if gru else "rnn"',
        "published GRU weights are read with 18 steps",
        "test_recorded_embeddings_come_out_alone_and_in_a_batch",
    ),
    _published(
        "        encoder.file_dtype = torch.float32\n",
        "",
        "published weights are kept in float32",
        "test_other_widths_are_read_too_and_the_file_loses_no_bit",
    ),
    _published(
        "            if wanted != found:",
        "            if key in expected and wanted != found:",
        "published weights are taken over strictly",
        "test_weights_that_fit_no_encoder_are_named",
    ),
    _vectors(
        "rows[row] = self.vectors[places].mean(0, dtype=np.float64)",
        "rows[row] = self.vectors[places].sum(0, dtype=np.float64)",
        "vectors are averaged, not summed",
        "test_the_embedding_is_the_mean_of_the_words_that_are_known",
    ),
    _vectors(
        "rows[row] = self.vectors[places].mean(0, dtype=np.float64)",
        "rows[row] = self.vectors[list(set(places))].mean(0, dtype=np.float64)",
        "a word counts as often as it stands",
        "test_the_embedding_is_the_mean_of_the_words_that_are_known",
    ),
    _vectors(
        "return self._place.get(word) if small is None else small",
        "return small",
        "a word that is known in capitals alone is found",
        "test_small_letters_first_then_as_written_then_the_parts",
    ),
    _vectors(
        "self._place.setdefault(word, place)",
        "self._place[word] = place",
        "the first vector of a word counts",
        "test_the_first_of_two_vectors_of_a_word_counts",
    ),
    _vectors(
        "        total.update(np.ascontiguousarray(self.vectors).data)\n",
        "",
        "the checksum sees the vectors",
        "test_another_vector_is_another_checksum",
    ),
    _vector_files(
        'line.rstrip().rsplit(b" ", dim)',
        'line.rstrip().split(b" ", dim)',
        "a word may hold spaces",
        "test_text_with_and_without_a_first_line",
    ),
    _vector_files(
        "rest, at = rest[at:] + more, 0",
        "rest, at = more, 0",
        "a vector may lie across two reads",
        "test_binary_of_word2vec",
    ),
    _vector_files(
        "            if np.isfinite(table).all():\n                return table",
        "            return table",
        "numbers that are not finite are refused",
        "test_what_is_no_vector_is_named",
    ),
    _vector_files(
        "number += len(lines)",
        "number += _LINES",
        "the line of a bad vector is told right",
        "test_a_bad_line_behind_the_first_portion_is_told_right",
    ),
    _sentence(
        "normalize_embeddings=True",
        "normalize_embeddings=False",
        "sentence embeddings have one length",
        "test_embeddings_are_float32_of_length_ten_without_gradient",
    ),
    _sentence(
        ".clone() * NORM",
        ".clone()",
        "sentence embeddings are ten long",
        "test_embeddings_are_float32_of_length_ten_without_gradient",
    ),
    _sentence(
        'if not kind.startswith("sentence_transformers."):',
        "if not kind:",
        "a folder's own code is never loaded",
        "test_only_data_is_loaded_from_a_folder",
    ),
    _sentence(
        "if file.suffix in _EXECUTABLE and not beside:",
        "if file.suffix in _EXECUTABLE and file.parent == folder and not beside:",
        "no pickle is loaded, in sub-folders neither",
        "test_only_data_is_loaded_from_a_folder",
    ),
    _sentence(
        '_DESCRIBES = {".json", ".txt", ".safetensors", ".model"}',
        '_DESCRIBES = {".json", ".safetensors", ".model"}',
        "the checksum sees the vocabulary",
        "test_the_checksum_sees_every_file_that_decides",
    ),
    _table(
        "place = self._place.get(_plain(caption))",
        "place = self._place.get(caption)",
        "white space does not count",
        "test_a_caption_gets_its_own_row_whatever_its_spaces",
    ),
    _table(
        "if first != row and not np.allclose(",
        "if False and not np.allclose(",
        "two rows for one caption are refused",
        "test_two_different_rows_for_one_caption_are_refused",
    ),
    _table(
        "-shared[place])[:50]",
        "shared[place])[:1]",
        "the nearest caption is named",
        "test_an_unknown_caption_hears_the_nearest_known_one",
    ),
    _table(
        "            return self.made_by\n",
        "            pass\n",
        "a table stands for the encoder that made it",
        "test_what_an_encoder_wrote_stands_for_that_encoder",
    ),
    _table(
        "return rows // CHUNK * CHUNK if fits else 0",
        "return rows if fits else 0",
        "only whole chunks are gone on from, so that no bit depends on the stop",
        "test_a_row_too_many_in_the_part_is_made_again",
    ),
    _table(
        "return rows // CHUNK * CHUNK if fits else 0",
        "return rows // CHUNK * CHUNK",
        "a part of other captions or another encoder is begun anew",
        "test_a_part_of_something_else_is_begun_anew",
    ),
    _table(
        "            file.truncate(len(header) + 4 * encoder.dim * done)\n",
        "",
        "half a row is cut off before going on",
        _GONE_ON,
    ),
    _table(
        "rows[[place[caption] for caption in captions]]",
        "rows[list(place.values())]",
        "a caption given twice has two rows",
        "test_what_an_encoder_wrote_stands_for_that_encoder",
    ),
    _table(
        "range(done, len(captions), CHUNK)",
        "range(0, len(captions), CHUNK)",
        "what is done is not done again",
        _GONE_ON,
    ),
    _captions(
        'if data[:2] == b"\\x1f\\x8b":',
        "if False:",
        "captions may be gzipped",
        _FORMATS,
    ),
    _captions(
        '" ".join(one.split()) for one in found',
        "one for one in found",
        "white space becomes single spaces",
        _FORMATS,
    ),
    _file(
        "json.dumps(json.loads(file[8:end]), sort_keys=True",
        "json.dumps(json.loads(file[8:end]), sort_keys=False",
        "the same encoder is the same bytes",
        "test_the_header_is_in_order",
    ),
    _which(
        "size() <= MOST_ENCODER_BYTES",
        "size() < MOST_ENCODER_BYTES",
        "ten million bytes still travel",
        "test_ten_million_bytes_are_the_most_that_travel",
    ),
    _which(
        '        if encoder.sha256 == wanted["sha256"]:\n',
        '        if encoder.dim == wanted["dim"]:\n',
        "an encoder found again is verified by sha256",
        "test_another_file_in_its_place_is_refused",
    ),
    _which(
        '(source, folder.parent / "encoder")',
        "(source,)",
        "a run's own encoder moves with it",
        "test_a_runs_own_encoder_moves_with_the_run",
    ),
    _which(
        '    if sha256 != wanted["sha256"]:',
        "    if False:",
        "another encoder is refused",
        "test_one_that_was_moved_is_given_by_name_or_path",
    ),
]
