"""A photograph's captions and class name -> what people type: "a rose", "pink roses please".

Differs: the paper trains on the captions alone. Those describe ("this flower has petals that are
pink"); wordings join them because people name ("a pink rose"), and an encoder that saw no names
draws something else for them (``wordings_share``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from stackgan.text.alphabet import words

COUNT = 8
"""Wordings made of a photograph, where nothing else is asked."""


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLOURS = _listed(
    "red orange yellow green blue purple pink white black brown grey gray violet lavender magenta "
    "maroon peach cream crimson golden gold burgundy fuchsia scarlet lilac indigo tan beige "
    "turquoise coral"
)
NOUNS = ("flower", "bird", "butterfly", "dog", "cat", "horse", "fish", "mushroom", "car", "shoe")
"""What data sets of one kind of thing are of; of those in a photograph's captions the commonest."""

_COVER = {"flower": "petals", "bird": "feathers"}
_CROWD = {"flower": "bouquet", "bird": "flock"}
_SHADES = _listed("light dark bright pale deep")
_WHOLE = _listed(
    "flower flowers petal petals pedal pedals blossom blossoms bloom bird body feathers feather "
    "plumage"
).union(NOUNS)
_PART = _listed(
    "stamen stamens anther anthers stigma stigmas pistil pistils pedicel pedicels sepal sepals "
    "leaf leaves stem stems center centers centre middle filament filaments pollen ovary style "
    "tip tips edge edges vein veins spot spots dot dots line lines stripe stripes base inside "
    "outside bottom top bud buds receptacle accent accents speckles background streaks "
    "tinge tinges blotches outline fringe fringes hairs florets disc disk throat tube interior "
    "beak bill leg legs foot feet tarsus eye eyes eyering eyebrow wing wings wingbars wingbar tail "
    "crown head nape belly breast chest back cheek cheeks face neck abdomen flank flanks rump "
    "coverts primaries secondaries superciliary rectrices side sides vent"
)
_THINGS = _WHOLE | _PART
_PLACING = _listed("in at on near around toward towards along inside")
_CLOSING = _listed("with that which has have having is are")

_PATTERNS = (
    "{one}", "{one}", "{a}", "{a}", "{many}", "{a}.", "{many}!", "{one} please", "{a}, please",
    "{many} please", "some {many}", "one {one}", "a single {one}", "a photo of {a}",
    "photo of {a}", "a picture of {a}", "picture of {a}", "picture of {many}", "image of {a}",
    "a photograph of {many}", "a close up of {a}", "beautiful {one}", "a beautiful {one}",
    "the {one}", "my {one}", "draw {a}", "i want {a}", "show me {many}", "this is {a}",
)  # fmt: skip
_COVERED = (
    "{name} with {colour} {cover}",
    "{a_name} with {colour} {cover}",
    "{names} with {colour} {cover}",
)
_SHORT = (
    "{colour} {cover}", "{colour} {cover}", "this {name} is {colour}", "{name} {colour}", "{colour}"
)  # fmt: skip
_CROWDED = ("{crowd} of {many}", "a {crowd} of {many}")
_SINGULAR_ALONE = ("one {", "a single {", "a beautiful {", "the {", "my {", "this {")
_FILLER = _listed(
    "a an the some one single photo picture image photograph close up of beautiful my draw i want "
    "show me this that these is are it its has have with and in color colour colored please "
    "bouquet flock"
)
_TELEGRAPHIC = _listed("a an the this that these is are it its has have in of color")

_SINGULAR_S = ("ss", "us", "is", "cosmos", "canvas", "gas", "lens")
_IRREGULAR = {
    "foot": "feet", "goose": "geese", "mouse": "mice", "titmouse": "titmice", "man": "men",
    "woman": "women", "person": "people", "child": "children", "leaf": "leaves", "wolf": "wolves",
    "knife": "knives", "fish": "fish", "sheep": "sheep", "deer": "deer",
}  # fmt: skip


class Described(NamedTuple):
    """What wordings of a photograph are made from, read off its captions."""

    noun: str | None
    """What it is of in general, such as "flower"; None where the captions do not say."""
    colours: dict[str, int]
    """Its own colours (petals', not leaves'), and in how many captions each stands."""
    shades: dict[str, str]
    """A colour as captions shade it: "pink" -> "light pink"."""


def is_plural(name: str) -> bool:
    """Whether a class name is a plural already, such as "canterbury bells"."""
    return name.endswith("s") and not name.endswith(_SINGULAR_S) and len(name) > 3


@cache
def plural(name: str) -> str:
    """Return the plural: "daisies", "irises", "birds of paradise"; a plural stays as it is."""
    if is_plural(name) or " in " in name:
        return name
    if " of " in name:
        first, rest = name.split(" of ", 1)
        return f"{plural(first)} of {rest}"
    before, space, last = name.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        last = f"{last[:-1]}ies"
    else:
        last += "es" if re.search(r"(s|x|z|ch|sh)$", last) else "s"
    return f"{before}{space}{last}"


def with_article(name: str) -> str:
    """Return "a rose", "an iris", "a unicorn"; a plural has no article."""
    if is_plural(name):
        return name
    sounds_like_vowel = re.match(r"(?!eu|uni|use|usu|one\b|once)[aeiou]|hour|honest|heir", name)
    return f"{'an' if sounds_like_vowel else 'a'} {name}"


def described(captions: Sequence[str]) -> Described:
    """Read noun and colours off a photograph's captions."""
    tokens = [words(caption) for caption in captions]
    nouns = Counter(
        noun for line in tokens for noun in NOUNS if noun in line or plural(noun) in line
    )
    noun = max(nouns, key=lambda name: nouns[name]) if nouns else None
    if noun is not None and nouns[noun] * 2 < len(tokens):
        noun = None
    own = Counter(colour for line in tokens for colour in _own_colours(line))
    if not own:
        own = Counter(colour for line in tokens for colour in COLOURS.intersection(line))
    most = max(own.values(), default=0)
    colours = {colour: count for colour, count in sorted(own.items()) if count * 3 >= most}
    shades = {
        colour: f"{before} {colour}"
        for line in tokens
        for before, colour in pairwise(line)
        if before in _SHADES and colour in colours
    }
    return Described(noun, colours, shades)


def _own_colours(line: list[str]) -> set[str]:
    """The colours of the whole thing in a caption's words, not those of its parts."""
    found = set()
    for place, word in enumerate(line):
        if word in COLOURS and _is_of_whole(line, place):
            found.add(word)
    return found


def _is_of_whole(line: list[str], place: int) -> bool:
    """Whether the colour at ``place`` is said of a whole: of what follows, else what precedes."""
    placed = False
    for word in line[place + 1 : place + 6]:
        if word in _PART:
            return False
        if word in _WHOLE and not placed:
            return True
        if word in _CLOSING:
            break
        placed = placed or word in _PLACING
    before = next((word for word in reversed(line[:place]) if word in _THINGS), None)
    return before is None or before in _WHOLE


def short_name(name: str) -> str | None:
    """What a name of several words is a kind of: "lily" of "tiger lily"; None where none is sure.

    A colour, a general noun ("balloon flower") or a name with "of", "in" or a possessive has none.
    """
    parts = name.split()
    if len(parts) < 2 or {"of", "in"}.intersection(parts) or "'" in name:
        return None
    return None if parts[-1] in COLOURS.union(NOUNS) else parts[-1]


def tidy(subject: str) -> str:
    """A class name as it is typed: single spaces, lower case, no word twice running."""
    parts = subject.lower().split()
    return " ".join(
        word for place, word in enumerate(parts) if place == 0 or word != parts[place - 1]
    )


def wordings(subject: str | None, captions: Sequence[str], count: int, random: Random) -> list[str]:
    """Return ``count`` typed wordings of a photograph of ``subject``, none empty.

    With a subject half of them name it, a quarter say noun and colour alone, a quarter are
    captions with words left out; without one the latter two take turns.
    """
    seen = described(captions)
    name = tidy(subject) if subject and subject.strip() else None
    kinds = ("named", "short", "named", "dropped") if name else ("short", "dropped")
    made: list[str] = []
    for place in range(count):
        line = ""
        for _ in range(4):  # a wording that is there already is drawn again, a few times
            line = _one(kinds[place % len(kinds)], name, seen, captions, random)
            if line not in made:
                break
        made.append(line)
    return made


def wordings_of(
    subjects: Sequence[str | None],
    captions: Sequence[Sequence[str]],
    seed: int,
    count: int = COUNT,
) -> list[list[str]]:
    """Return :func:`wordings` of each photograph: a function of (seed, place) and its texts."""
    return [
        wordings(subject, lines, count, Random(f"{seed} {place}"))
        for place, (subject, lines) in enumerate(zip(subjects, captions, strict=True))
    ]


def content(line: str) -> frozenset[str]:
    """The words of a wording that say something: not "a", "photo of" or "please"."""
    return frozenset(words(line)) - _FILLER


def known_words(subject: str | None, captions: Sequence[str]) -> frozenset[str]:
    """Every word that says nothing false of a photograph: name, noun, own colours, its captions'.

    A wording whose :func:`content` lies in them may be of this photograph as well.
    """
    seen = described(captions)
    said = {word for caption in captions for word in words(caption)} - COLOURS
    own = {*words(tidy(subject or "")), *seen.colours}
    if seen.noun:
        own |= {seen.noun, _COVER.get(seen.noun, seen.noun)}
    return frozenset(said | own | {plural(word) for word in own})


def _one(
    kind: str, name: str | None, seen: Described, captions: Sequence[str], random: Random
) -> str:
    if kind == "named" and name:
        line = _named(name, seen, random)
    elif kind == "short" and seen.noun:
        line = _phrase(seen.noun, _colour(seen, random, 0.85), seen, random, short=True)
    else:
        line = _dropped(random.choice(captions), random)
    return _as_written(line, random)


def _named(name: str, seen: Described, random: Random) -> str:
    head = short_name(name)
    if head and random.random() < 0.25:
        name = head
    if "-" in name and random.random() < 0.5:
        name = name.replace("-", " ")
    has_colour = COLOURS.intersection(words(name))
    colour = None if has_colour else _colour(seen, random, 0.55)
    noun = seen.noun
    if noun and noun not in name and not is_plural(name) and random.random() < 0.12:
        name = f"{name} {noun}"
    return _phrase(name, colour, seen, random, short=False)


def _colour(seen: Described, random: Random, chance: float) -> str | None:
    """A colour of the photograph, now and then two or a shade; None as often as not asked."""
    if not seen.colours or random.random() >= chance:
        return None
    ranked = sorted(seen.colours, key=lambda colour: (-seen.colours[colour], colour))
    if len(ranked) > 1 and random.random() < 0.35:
        first, second = ranked[:2] if random.random() < 0.7 else ranked[1::-1]
        return f"{first} and {second}"
    colour = random.choices(ranked, [seen.colours[each] for each in ranked])[0]
    return seen.shades.get(colour, colour) if random.random() < 0.2 else colour


def _phrase(name: str, colour: str | None, seen: Described, random: Random, *, short: bool) -> str:
    """A pattern filled in."""
    one = f"{colour} {name}" if colour else name
    patterns: tuple[str, ...] = _PATTERNS
    cover = _COVER.get(seen.noun or "")
    if colour and cover:
        patterns += _COVERED + (_SHORT if short else ())
    crowd = _CROWD.get(seen.noun or "")
    if crowd:
        patterns += _CROWDED
    pattern = random.choice(patterns)
    if is_plural(name) and pattern.startswith(_SINGULAR_ALONE):
        pattern = "{many}"
    return pattern.format(
        one=one, a=with_article(one), many=plural(one), name=name, names=plural(name),
        a_name=with_article(name), colour=colour, cover=cover, crowd=crowd,
    )  # fmt: skip


def _dropped(caption: str, random: Random) -> str:
    """A caption with words left out: a clause of it, its clauses turned round, or a telegram."""
    clauses = [part for part in re.split(r"[,;.]|\b(?:and|with|that)\b", caption) if words(part)]
    way = random.random()
    if len(clauses) > 1 and way < 0.35:
        line = clauses[0]
    elif len(clauses) > 1 and way < 0.55:
        first = random.randrange(1, len(clauses))
        line = ", ".join([" ".join(clauses[first:]).strip(), " ".join(clauses[:first]).strip()])
    else:
        line = " ".join(word for word in caption.split() if word.lower() not in _TELEGRAPHIC)
    line = " ".join(line.split()).strip(" ,;.")
    return line if len(words(line)) > 1 else caption


def _as_written(line: str, random: Random) -> str:
    """Capitals and marks, as some people write and most do not."""
    way = random.random()
    if way < 0.1:
        return f"{line[:1].upper()}{line[1:]}"
    if way < 0.16:
        return " ".join(f"{word[:1].upper()}{word[1:]}" for word in line.split())
    if way < 0.2:
        return line.upper()
    if way < 0.4 and line[-1:].isalnum():
        return line + random.choice((".", ".", "!", "!!", "?", "..."))
    return line
