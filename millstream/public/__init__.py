"""The public names: which TensorFlow has, which Millstream has, and what a missing one says."""
