"""The operators, from the primitives (``vjp``, ``jvp``) up to the ``Derivative`` the user holds."""
