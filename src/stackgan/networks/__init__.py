"""What papers build networks from, plainly: layers (the only user of ``fast``), blocks, heads."""
