"""Recurrent networks: cells, and the functions that apply a cell to the steps of a sequence."""
