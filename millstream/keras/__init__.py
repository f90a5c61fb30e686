"""Keras: layers and models over the operations."""
