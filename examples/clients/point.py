"""Pressure and internal energy of water at one point, and how they change with T and rho."""

import sys

sys.path.append("build/eos/python")
import eos  # NumPy and the library beside it; no tfgradkit, no TensorFlow

y, jacobian = eos.value_and_jacobian([800.0, 100.0])  # T, rho; any leading axes: [n, 2], [m, n, 2]
print("p {:.6e} u {:.6e} dp/dT {:.6e} dp/drho {:.6e}".format(*y, *jacobian[0]))
