"""The table of conformance: functions of TensorFlow and Keras, and what is true of their derivatives.

``entry`` says what an entry is, ``line_derivatives`` finds the truth from values, ``properties`` compares, and the
files ``entries_*`` hold the table. ``test_conformance.py`` takes a sample, ``scripts/sweep`` all of it.
"""
