"""Samples of a batch: whether they influence each other, and derivatives taken one sample at a time."""
