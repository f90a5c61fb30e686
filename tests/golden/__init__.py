"""Golden tests: what real TensorFlow 1.15.5 computes, recorded once and replayed without it."""
