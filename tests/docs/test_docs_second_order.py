"""The page on second-order operators: its code runs and gives what its comments say."""

import re

import numpy as np


def test_code_of_the_page_gives_what_it_says(root):
    page = (root / "docs/operators/second_order.md").read_text()
    (code,) = re.findall(r"<!-- code -->\n```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(compile(code, "second_order.md", "exec"), names)
    np.testing.assert_allclose(names["harmonic"], [0, 0], atol=1e-16)
    np.testing.assert_allclose(names["divergence"], 2 * names["x"].sum(1))
    np.testing.assert_allclose(names["residual"], np.zeros(5), atol=1e-16)
    u = names["u"]
    np.testing.assert_allclose(names["step"], (1 - u - u**3) / (3 * u**2 + 1), rtol=1e-13)
