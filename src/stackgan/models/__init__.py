"""Embedding -> condition -> sketch -> picture: the networks, and how settings build them."""
