"""A trained network made ready for drawing: folded, packed, row by row."""
