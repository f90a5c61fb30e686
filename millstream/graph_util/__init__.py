"""Graphs as messages, `GraphDef`: parts of them, freezing, preparing for inference. Nothing here builds a graph."""
