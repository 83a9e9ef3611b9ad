"""Batch -> losses -> step -> checkpoint: how the networks and the text encoder are trained."""
