"""Files -> examples -> batches.

``examples`` what every reader returns; ``readers`` the table of data sets: ``oxford102``, ``cub``,
``coco``, ``folder`` (your own images) and ``toy`` (drawn by us); ``check`` names broken files;
``images``, ``crop`` and ``cache`` turn image files into one memory-mapped array; ``batches`` draws
training batches from it.
"""

from stackgan.data.examples import Example
from stackgan.data.readers import read_examples

__all__ = ["Example", "read_examples"]
