"""Typed wordings: true of their photograph, well formed, and a function of what they are given."""

from __future__ import annotations

from random import Random

import pytest

from stackgan.text.wordings import (
    content,
    described,
    is_plural,
    known_words,
    plural,
    short_name,
    tidy,
    with_article,
    wordings,
    wordings_of,
)

ROSE = (
    "this flower is pink in color with petals that are wrapped closely around the center",
    "the flower has light pink petals and a green pedicel",
    "a pink flower with yellow stamen and dark green leaves",
)


@pytest.mark.parametrize(
    ("name", "several", "one"),
    [
        ("rose", "roses", "a rose"),
        ("oxeye daisy", "oxeye daisies", "an oxeye daisy"),
        ("bearded iris", "bearded irises", "a bearded iris"),
        ("lotus", "lotuses", "a lotus"),
        ("peony", "peonies", "a peony"),
        ("canterbury bells", "canterbury bells", "canterbury bells"),
        ("watercress", "watercresses", "a watercress"),
        ("bird of paradise", "birds of paradise", "a bird of paradise"),
        ("love in the mist", "love in the mist", "a love in the mist"),
        ("prince of wales feathers", "prince of wales feathers", "prince of wales feathers"),
        ("colt's foot", "colt's feet", "a colt's foot"),
        ("finch", "finches", "a finch"),
        ("blue jay", "blue jays", "a blue jay"),
        ("eucalyptus", "eucalyptuses", "a eucalyptus"),
        ("hourglass", "hourglasses", "an hourglass"),
    ],
)
def test_plurals_and_articles(name: str, several: str, one: str) -> None:
    assert (plural(name), with_article(name)) == (several, one)
    assert plural(several) == several or not is_plural(several)


def test_short_names_only_where_they_are_kinds() -> None:
    names = ["tiger lily", "barbeton daisy", "rose", "bishop of llandaff", "love in the mist"]
    assert [short_name(name) for name in names] == ["lily", "daisy", None, None, None]
    assert short_name("balloon flower") is short_name("bolero deep blue") is None
    assert short_name("colt's foot") is None
    assert tidy("Lotus  lotus") == "lotus" and tidy("Water Lily") == "water lily"


def test_colours_are_the_petals_own() -> None:
    seen = described(ROSE)
    assert seen.noun == "flower" and seen.colours == {"pink": 3}
    assert seen.shades == {"pink": "light pink"}
    bird = described(["this black bird has a yellow beak and white wings", "a bird that is black"])
    assert bird.noun == "bird" and set(bird.colours) == {"black"}
    assert described(["yellow stamen"]).colours == {"yellow": 1}  # better than none
    assert described(["two cups on a table"]).noun is None


@pytest.mark.parametrize("subject", ["rose", "hard-leaved pocket orchid", "canterbury bells", None])
def test_wordings_say_nothing_false(subject: str | None) -> None:
    lines = wordings(subject, ROSE, 300, Random(1))
    assert len(lines) == 300 and all(line.strip() for line in lines)
    known = known_words(subject, ROSE)
    for line in lines:  # what a caption says of its leaves stays with the leaves
        extra = content(line) - known
        assert extra <= {"green", "yellow"}, line
        assert not any(f"{c} {n}" in line.lower() for c in extra for n in ("petal", "flower"))
        assert " a a" not in line and "an pink" not in line and "a orchids" not in line


def test_the_spellings_people_use_are_among_them() -> None:
    lines = {line.lower() for line in wordings("rose", ROSE, 3000, Random(2))}
    assert {"rose", "a rose", "roses", "a pink rose", "pink roses please"} <= lines
    assert "red flower" not in lines
    assert {"pink flower", "a pink flower", "pink petals", "a photo of a pink rose"} <= lines
    assert any(line.startswith("bouquet of") for line in lines)
    assert any(line.endswith("!!") for line in lines)
    orchids = {line.lower() for line in wordings("moon orchid", ROSE, 300, Random(2))}
    assert "orchid" in orchids and "a moon orchid" in orchids
    irises = "|".join(wordings("yellow iris", ROSE, 300, Random(3)))
    assert "pink yellow iris" not in irises and "pink and yellow" not in irises


def test_wordings_follow_from_seed_and_place_alone() -> None:
    both = wordings_of(["rose", None], [ROSE, ROSE[:1]], 4)
    assert both == wordings_of(["rose", None], [ROSE, ROSE[:1]], 4)
    assert both[:1] == wordings_of(["rose"], [ROSE], 4)
    assert both != wordings_of(["rose", None], [ROSE, ROSE[:1]], 5)
    assert [len(lines) for lines in both] == [8, 8]


def test_what_a_wording_says_and_whom_it_fits() -> None:
    assert content("A photo of a PINK rose, please!") == {"pink", "rose"}
    assert content("pink roses please") <= known_words("rose", ROSE)
    assert not content("a red flower") <= known_words("rose", ROSE)
    assert not content("yellow flower") <= known_words("rose", ROSE)  # its stamen's colour
    assert content("a lily") <= known_words("tiger lily", ROSE)
