"""The staircase: who imports whom, where private modules are touched, and what the front door shows."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import tfgradkit as tgk

# Data goes up this list. A module may import from its own floor and from those below.
FLOORS = (
    ("errors", "comparison", "public", "templates", "tensorflow_version", "types", "version"),
    ("arguments", "native"),
    ("differentiable", "graph"),
    ("analysis", "op_gradients"),
    ("sources",),
    ("derivatives", "public_operators"),
    ("export",),
    ("diagnose",),
    ("custom",),
    ("attribution", "layers"),
    ("report",),
    ("cli", "__main__"),
)
PRIVATE = {
    "_pywrap_tfcompile": "export/native/compile/tfcompile.py",
    "convert_to_constants": "graph/grappler.py",
    "tf_optimizer": "graph/grappler.py",
    "pywrap_xla_ops": "export/native/compile/unsupported.py",
    "function_def_to_graph": "export/native/compile/substitutes.py",
    "gradient_registry": "op_gradients/registry.py",
    "op_def_registry": "op_gradients/registry.py",
    "tensorflow.python.ops.custom_gradient": "op_gradients/recompute_grad.py",
    "parallel_for": "graph/pfor.py",
    "get_registered_kernels_for_op": "diagnose/audit/eager.py",
    "tensorflow.python.eager.record": "graph/contexts.py",
    "tensorflow.python.eager.backprop": "diagnose/trace_ops/recording.py",
    "op_callbacks": "diagnose/trace_ops/recording.py",
    "atomic_function": "diagnose/trace_ops/recording.py",
}


def modules(root):
    return sorted((root / "tfgradkit").rglob("*.py"))


def floor_of(name):
    top, *rest = name.split(".")
    own = [".".join([top, *rest[:1]]), top]  # a module may have a floor of its own, below its folder's
    return next((height for key in own for height, names in enumerate(FLOORS) if key in names), None)


def imports(path, root):
    """Modules of the package that a file imports, as dotted names below ``tfgradkit``."""
    package = list(path.relative_to(root / "tfgradkit").with_suffix("").parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level]
            found += [".".join(base + (node.module or alias.name).split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfgradkit"):
            found.append(node.module.removeprefix("tfgradkit").lstrip("."))
        elif isinstance(node, ast.Import):
            found += [a.name.removeprefix("tfgradkit.") for a in node.names if a.name.startswith("tfgradkit.")]
    return [name for name in found if name and not name.startswith("__version__")]


def test_imports_go_up_the_staircase(root):
    wrong = []
    for path in modules(root):
        name = ".".join(path.relative_to(root / "tfgradkit").with_suffix("").parts)
        if name == "__init__":
            continue
        own = floor_of(name)
        assert own is not None, f"{name} is on no floor: add it to FLOORS"
        wrong += [f"{name} imports {other}" for other in imports(path, root) if (floor_of(other) or 0) > own]
    assert wrong == []


def test_no_import_cycles(root):
    edges = {}
    for path in modules(root):
        name = ".".join(path.relative_to(root / "tfgradkit").with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            edges[name] = {other for other in imports(path, root) if other != name}
    while edges:
        leaves = {name for name, others in edges.items() if not others & set(edges)}
        assert leaves, f"a cycle among {sorted(edges)}"
        edges = {name: others for name, others in edges.items() if name not in leaves}


@pytest.mark.parametrize("private", PRIVATE)
def test_private_modules_are_touched_in_one_file(root, private):
    touching = []
    for path in modules(root):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            module = getattr(node, "module", None) or ""
            if any(private in name for name in [*names, *(f"{module}.{name}" for name in names)]):
                touching.append(str(path.relative_to(root / "tfgradkit")))
    assert touching == [PRIVATE[private]]


def test_tensorflows_private_modules_are_imported_nowhere_else(root):
    touching = {
        str(path.relative_to(root / "tfgradkit"))
        for path in modules(root)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tensorflow.python")
    }
    assert touching == set(PRIVATE.values())


def test_front_door_is_sorted_complete_and_small():
    assert tgk.__all__ == sorted(tgk.__all__)
    assert len(tgk.__all__) <= 61
    assert all(getattr(tgk, name) is not None for name in tgk.__all__)
    assert dir(tgk) == tgk.__all__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="jakobian"):
        tgk.jakobian  # noqa: B018


def test_every_error_is_in_the_tree():
    for name in tgk.errors.__all__:
        assert issubclass(getattr(tgk.errors, name), tgk.errors.TfGradKitError)
    assert tgk.errors.__all__ == sorted(tgk.errors.__all__)


@pytest.mark.parametrize("statement", ["import tfgradkit", "import tfgradkit.native", "import tfgradkit.__main__"])
def test_imports_no_tensorflow(statement):
    code = f"{statement}; import sys; print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_functions_have_docstrings_and_annotations(root):
    missing = []
    for path in modules(root):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                overloads = any(getattr(decorator, "id", "") == "overload" for decorator in node.decorator_list)
                if ast.get_docstring(node) is None and not overloads:
                    missing.append(f"{path.name}: {node.name} has no docstring")
                if isinstance(node, ast.FunctionDef) and node.returns is None:
                    missing.append(f"{path.name}: {node.name} has no annotation")
    assert missing == []


def test_a_file_name_says_one_thing(root):
    """The name of a file is enough to find it: no two modules share one."""
    names = {}
    for path in modules(root):
        if path.name not in ("__init__.py", "__main__.py"):
            names.setdefault(path.stem, []).append(str(path.relative_to(root)))
    assert {name: paths for name, paths in names.items() if len(paths) > 1} == {}


def test_every_folder_says_what_it_is(root):
    folders = [path for path in modules(root) if path.name == "__init__.py"]
    silent = [str(path.relative_to(root)) for path in folders if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_tests_stand_where_the_package_has_what_they_test(root):
    """``tests/<folder>`` mirrors ``tfgradkit/<folder>``; docs and examples are folders of the repository."""
    folders = {path.name for path in (root / "tfgradkit").iterdir() if path.is_dir()}
    known = folders | {path.name for path in root.iterdir() if path.is_dir()} | {"helpers", "clients"}
    found = {path.name for path in (root / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found - known == set()


def test_a_class_name_has_one_meaning(root):
    homes = {}
    for path in modules(root):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(root / "tfgradkit")))
    # The layer is the derivative, as Keras sees it; both names are public.
    homes["Derivative"].remove("layers.py")
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
