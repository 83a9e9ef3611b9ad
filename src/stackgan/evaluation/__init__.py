"""Checkpoint -> samples -> scores.

``scores`` the arithmetic (KID, Frechet distance, SWD, diversity); ``neighbours`` the nearest
photographs; ``report`` draws a model's pictures for a data set's captions and scores them, with the
protocol beside the numbers.
"""
