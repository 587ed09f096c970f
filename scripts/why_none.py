"""Writes docs/why_none.md from the cases in none_cases.py, with what tfgradkit says to each."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from none_cases import SECTIONS, Case, explained

PAGE = Path(__file__).resolve().parent.parent / "docs" / "why_none.md"
_HEAD = """# Why is my gradient None?

`tape.gradient` returns None, or zeros, and says no more. `tgk.explain(f, *arguments)` says which op cut the way from
each input to each output, in which line of your code, and what to write instead. `tgk.ExplainingTape` is a
`tf.GradientTape` with one method more, which says the same about its block: `tape.explain(target, sources)`.
`tfgradkit explain MODEL` asks for a model file.

```python
import keras
import numpy as np
import tensorflow as tf
import tfgradkit as tgk
```

| `status` | what `tf.GradientTape` returns | |
|---|---|---|
| "connected" | a gradient | no finding |
| "zero" | zeros | at these arguments, and (`explain` looks) at a point nearby |
| "none" | None | `unconnected_gradients="zero"` would make zeros of it |
| "error" | an exception | also where tfgradkit has a rule that TensorFlow lacks |

Each finding has `output`, `input`, `status`, `cause`, `op`, `where`, `layer`, `code`, `why` and `remedy`. It is about
the arguments that were given: the function runs, and other arguments may take another branch. Of the causes the
first on the way is named. What leaves TensorFlow in a way that no op and no tensor tells of (`np.asarray`, `math.sin`,
`tf.numpy_function`), and which branch was not taken, is looked up in your source; where that can't be read, such a
gradient counts as "unused". The tape keeps every tensor of its block, and slows eager code down.

This page is written by `scripts/why_none.py`: what stands below each piece of code is what it prints.
"""
_TAIL = """
## Frozen layers

`tgk.explain(model, x, wrt="parameters")` asks about every variable that was made to be trained. A tape gives a
gradient by those of a frozen layer, too; `model.trainable_variables`, and so `fit`, leaves them out. They are
reported as "none", "not_trainable". A layer that is never called is "unused".

## NaN

A gradient of NaN is "connected". `tgk.locate_nonfinite` finds where it comes from.

## From Keras' own inputs

`model.inputs` are symbols that stand for a shape; no tape can watch them. Pass numbers: `tgk.explain(model, x)`,
`tgk.jacobian(model)(x)`. Arrays are made tensors, and watched.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, cases in SECTIONS.items():
        parts.append(f"## {section}\n")
        parts += [_case(case) for case in cases]
    return "\n".join(parts) + _TAIL


def _case(case: Case) -> str:
    said = str(explained(case.code))
    parts = [f"### {case.title}\n", *([f"{case.says}\n"] if case.says else [])]
    parts += [f"```python\n{_shown(case.code)}\n```\n", f"```text\n{said}\n```\n"]
    if case.fixed:
        parts += ["With a gradient:\n", f"```python\n{_shown(case.fixed)}\n```\n"]
    return "\n".join(parts)


def _shown(code: str) -> str:
    """The code without what only the tests need."""
    lines = dedent(code).strip().splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith(("target, sources =", "arguments =")))


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
