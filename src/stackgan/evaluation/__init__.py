"""Checkpoint -> samples -> scores.

``metrics`` the arithmetic, a file a score; ``protocol`` which pictures are drawn and what they are
compared with; ``report`` draws a model's pictures and scores them, the protocol beside each number.
"""
