"""``python/<name>.py`` of an exported folder: its functions in Python, over ctypes and NumPy."""

from __future__ import annotations

import json
from typing import Any

from ..loader.function import output_groups
from .rendering import render

# What a function returns beside the value.
_COMMENTS = {
    "value": "The model itself",
    "jacobian": "the derivative by the input",
    "vjp": "output_gradients times the Jacobian",
    "jvp": "the Jacobian times tangents",
    "gradient": "the gradient of the output, which is one number",
    "hessian": "the second derivative by the input",
    "hvp": "the Hessian of the output, which is one number, times tangents",
}


def write_python_module(metadata: dict[str, Any]) -> dict[str, str]:
    """The text of the module of the library that ``metadata`` describes, by its path in the folder."""
    return {f"python/{metadata['name']}.py": _text(metadata)}


def _text(metadata: dict[str, Any]) -> str:
    arrays = {array["name"]: array for array in metadata["arrays"]}
    return render(
        "module.py.j2",
        {
            "name": metadata["name"],
            "version": metadata["versions"]["tfgradkit"],
            # A model may be called anything; this is inside a docstring.
            "summary": f"the model {json.dumps(metadata['model'])[1:-1]}",
            "abi_version": metadata["abi_version"],
            "shared": metadata["files"]["shared"],
            "arrays": [array | {"shape": tuple(array["shape"])} for array in metadata["arrays"]],
            "entries": metadata["functions"],
            "functions": [f for entry in metadata["functions"] for f in _functions(entry, metadata, arrays)],
        },
    )


def _functions(entry: dict[str, Any], metadata: dict[str, Any], arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions of a kind: the last group of its outputs alone, and all of them."""
    kind, groups = entry["kind"], output_groups(metadata, entry)
    comment = _COMMENTS[kind]
    alone = {"name": kind, "skipped": len(groups) - 1, "comment": f"{comment[0].upper()}{comment[1:]}."}
    between = ", its first derivative" if kind == "hessian" else ""
    both = {"name": _twin(kind), "skipped": 0, "comment": f"The model{between}, and {comment}; from one pass."}
    return [_described(f, entry, groups, arrays) for f in ([alone] if kind == "value" else [alone, both])]


def _twin(kind: str) -> str:
    return "value_gradient_and_hessian" if kind == "hessian" else f"value_and_{kind}"


def _described(
    function: dict[str, Any], entry: dict[str, Any], groups: tuple[int, ...], arrays: dict[str, Any]
) -> dict[str, Any]:
    first, kept = sum(groups[: function["skipped"]]), groups[function["skipped"] :]
    names = iter(entry["outputs"][first:])
    returned = [[next(names) for _ in range(size)] for size in kept]
    texts = [", ".join(_array_text(arrays[name]) for name in group) for group in returned]
    forms = [text if len(group) == 1 else f"{{{text}}}" for text, group in zip(texts, returned, strict=True)]
    return function | {
        "kind": entry["kind"],
        "arguments": entry["inputs"],
        "takes": [_array_text(arrays[name]) for name in entry["inputs"]],
        "returns": forms[0] if len(forms) == 1 else f"({', '.join(forms)})",
        "first": first,
        "groups": kept,
    }


def _array_text(array: dict[str, Any]) -> str:
    return f"{array['name']}: {array['dtype']} [{', '.join(['...', *map(str, array['shape'])])}]"
