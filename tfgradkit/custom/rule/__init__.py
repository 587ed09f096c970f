"""``custom_rule``: a function with a VJP or JVP of the user's own, checked against each other."""
