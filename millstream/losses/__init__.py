"""`tf.losses`: losses, their weights and reductions, and the collections that they are kept in."""
