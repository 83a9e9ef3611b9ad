"""Where the papers' data sets can be fetched: addresses, sizes, checksums and who published them.

A checksum stands here only where public code states it for that file; its source is named beside
it. For the others `stackgan data download` keeps the sha256 of the first download and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackgan.errors import InputError, nearest


@dataclass(frozen=True)
class Part:
    """One file of a data set at a public address."""

    url: str
    """The file itself, or the page where a browser gets it (``by_hand``)."""
    file: str
    """Its name on this side."""
    takes: Mapping[str, str] = field(default_factory=dict)
    """For an archive: path inside it -> path below the data set's folder; the rest stays packed."""
    checksum: str | None = None
    """``sha256:...`` or ``md5:...``, from public code."""
    size_bytes: int | None = None
    by_hand: bool = False
    """No program can fetch it: a browser must."""
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Path that is taken -> other places below the folder where readers find the same."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Paths below the data set's folder that are there once this part is."""
        return tuple(self.takes.values()) or (self.file,)


# Addresses, sizes and sha256: TensorFlow Datasets, url_checksums/oxford_flowers102.txt; the same
# addresses with md5 stand in torchvision, datasets/flowers102.py.
_VGG = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
_OXFORD102 = (
    Part(
        f"{_VGG}/102flowers.tgz",
        "102flowers.tgz",
        {"jpg": "jpg"},
        "sha256:2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
        344_862_509,
    ),
    Part(
        f"{_VGG}/imagelabels.mat",
        "imagelabels.mat",
        checksum="sha256:4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
        size_bytes=502,
    ),
    Part(
        f"{_VGG}/setid.mat",
        "setid.mat",
        checksum="sha256:46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
        size_bytes=14_989,
    ),
    # The captions of Reed et al. (CVPR 2016) are on Google Drive alone; this address stands in the
    # README of several repositories that use them.
    Part(
        "https://drive.google.com/file/d/0B0ywwgffWnLLcms2WWJQRFNSWXM/view?"
        "resourcekey=0-Av8zFbeDDvNcF1sSjDR32w",
        "cvpr2016_flowers.tar.gz",
        {name: name for name in ("text_c10", "trainvalclasses.txt", "testclasses.txt")},
        by_hand=True,
    ),
)

_CUB = (
    # Address and md5: Avalanche, benchmarks/datasets/cub200.py, and the many loaders made after
    # github.com/TDeVries/cub2011_dataset; size: TensorFlow Datasets, caltech_birds2011.txt.
    Part(
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        "CUB_200_2011.tgz",
        {"CUB_200_2011": "CUB_200_2011"},
        "md5:97eceeb196236b17998738112f37df78",
        1_150_585_339,
    ),
    # The captions of Reed et al., a folder a class: a copy on the Hugging Face hub, as the data
    # set's own loading script names it; no public code states a checksum.
    Part(
        "https://huggingface.co/datasets/alkzar90/CC6204-Hackaton-Cub-Dataset/resolve/main/data/"
        "text.zip",
        "text.zip",
        {"text": "text"},
        elsewhere={"text": ("text_c10", "CUB_200_2011/text", "cvpr2016_cub/text_c10")},
    ),
)


def _coco(year: int, sizes: dict[str, tuple[int, str]]) -> tuple[Part, ...]:
    """Return the parts of one year; ``sizes`` has bytes and sha256 of each archive."""
    base = "http://images.cocodataset.org"  # has no https of its own: the checksums stand for it
    captions = tuple(f"annotations/captions_{split}{year}.json" for split in ("train", "val"))
    named = {
        f"annotations_trainval{year}.zip": ("annotations", {name: name for name in captions}),
        f"train{year}.zip": ("zips", {f"train{year}": f"train{year}"}),
        f"val{year}.zip": ("zips", {f"val{year}": f"val{year}"}),
    }
    return tuple(
        Part(
            f"{base}/{folder}/{file}",
            file,
            takes,
            f"sha256:{sizes[file][1]}",
            sizes[file][0],
            elsewhere={place: (f"images/{place}",) for place in takes.values()},
        )
        for file, (folder, takes) in named.items()
    )


# Addresses, sizes and sha256: TensorFlow Datasets, url_checksums/coco.txt.
COCO_YEARS = {
    2014: _coco(
        2014,
        {
            "annotations_trainval2014.zip": (
                252_872_794,
                "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
            ),
            "train2014.zip": (
                13_510_573_713,
                "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
            ),
            "val2014.zip": (
                6_645_013_297,
                "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
            ),
        },
    ),
    2017: _coco(
        2017,
        {
            "annotations_trainval2017.zip": (
                252_907_541,
                "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
            ),
            "train2017.zip": (
                19_336_861_798,
                "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
            ),
            "val2017.zip": (
                815_585_330,
                "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
            ),
        },
    ),
}

DATA_SETS = {"oxford102": _OXFORD102, "cub": _CUB, "coco": COCO_YEARS[2014]}
"""Each data set that can be fetched and its files; COCO's other years are in ``COCO_YEARS``."""

_NOT_FETCHED = {
    "toy": "is drawn here: `stackgan data toy --root DIR`",
    "folder": "is your own captioned folder, there is nothing to fetch",
}


def parts_of(name: str, year: int | None = None) -> tuple[Part, ...]:
    """Return the files of data set ``name``; raises :class:`InputError` for another name or year.

    ``year`` is COCO's, 2014 where none is given: the paper's.
    """
    if name in _NOT_FETCHED:
        raise InputError(f"data set {name!r} {_NOT_FETCHED[name]}; can be fetched: {_known()}")
    if name not in DATA_SETS:
        raise InputError(f"data set {name!r} cannot be fetched; {nearest(name, list(DATA_SETS))}")
    if year is None:
        return DATA_SETS[name]
    if name != "coco":
        raise InputError(f"data set {name!r} has no years; --year is for coco alone")
    if year not in COCO_YEARS:
        close = min(COCO_YEARS, key=lambda known: abs(known - year))
        known = ", ".join(map(str, COCO_YEARS))
        raise InputError(
            f"coco of the year {year} is unknown; did you mean {close}? (known: {known})"
        )
    return COCO_YEARS[year]


def _known() -> str:
    return ", ".join(DATA_SETS)
