"""Rehearsing the small and full tiers without a hub, a GPU or a gigabyte: the real ids, classes and schemas, made up.

`lay` writes models and data sets that a hub would hold, `hub` serves them on this machine, and `checkout` is a copy of
the repository in which the unmodified code then runs. What comes of it is of the tier ``rehearsal``, and measures
nothing.
"""
