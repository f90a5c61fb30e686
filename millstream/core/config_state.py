"""Switches of the process that operations and functions ask for; `tf.config` sets them."""
from __future__ import annotations

functions_eagerly = False  # tf.function calls the Python function instead of a traced graph
deterministic_ops = False  # the same results in every run; random operations demand a seed
soft_placement = True  # eager operations on a device that is not there run on another one
