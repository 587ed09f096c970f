"""What ``help`` and an editor show: every parameter, what is raised, examples that run; and the one list of names."""

from __future__ import annotations

import ast
import doctest
import inspect
import pickle
import subprocess
import sys
import types
import zipfile

import keras
import numpy as np
import operator_stub
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.derivatives.keywords import Keywords, defaults, entries

DATA_FILES = ("py.typed", "__init__.pyi", "public_operators.pyi", "types.pyi")
MODULES = ("attribution", "errors", "layers", "report", "types")
OPERATORS = (
    "divergence",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "laplacian",
    "linearize",
    "partial",
    "sparse_jacobian",
    "value_and_divergence",
    "value_and_gradient",
    "value_and_hvp",
    "value_and_jacobian",
    "value_and_jvp",
    "value_and_laplacian",
    "value_and_partial",
    "value_and_sparse_jacobian",
    "value_and_vjp",
    "value_gradient_and_hessian",
    "vjp",
)
RESULTS = set(tgk.types.__all__)


def public():
    """The functions of the package and of its public modules, and the classes that a user makes objects of."""
    found = {name: getattr(tgk, name) for name in tgk.__all__ if name not in MODULES and name not in RESULTS}
    for module in (tgk.attribution, tgk.layers, tgk.report):
        own = {f"{module.__name__.partition('.')[2]}.{name}": getattr(module, name) for name in module.__all__}
        found |= {name: value for name, value in own.items() if value.__name__ not in RESULTS or "layers" in name}
    return found


PUBLIC = public()
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}


def parameters(value):
    call = value.__init__ if isinstance(value, type) else value
    return [name for name in inspect.signature(call).parameters if name != "self"]


def described(value, section):
    text = entries(value.__doc__, section)
    return {name.strip(" *"): told for names, told in text.items() for name in names.split(",")}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_parameter_stands_in_the_docstring(name):
    told = described(PUBLIC[name], "Args") or described(PUBLIC[name], "Attributes")
    assert list(told) == [p for p in parameters(PUBLIC[name]) if p in told], "in another order than in the signature"
    assert set(parameters(PUBLIC[name])) == set(told)
    assert all(told.values())


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_docstring_has_a_sentence_what_is_returned_and_an_example(name):
    first, _, rest = inspect.getdoc(FUNCTIONS[name]).partition("\n\n")
    assert first.endswith(".")
    assert "Returns:\n" in rest or inspect.signature(FUNCTIONS[name]).return_annotation == "None"
    assert "\nExample:\n" in rest


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_what_is_raised_are_errors_of_the_package(name):
    raised = described(PUBLIC[name], "Raises")
    ours = {error for error in raised if error in tgk.errors.__all__}
    assert raised.keys() - ours <= {"TypeError", "RuntimeError"}
    assert "Raises (" not in PUBLIC[name].__doc__


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_examples_of_docstrings_run(name, tmp_path, rules_as_before):
    names = {"tgk": tgk, "tf": tf, "np": np, "keras": keras, "folder": tmp_path}
    [test] = doctest.DocTestFinder(recurse=False).find(PUBLIC[name], name, globs=names, module=False)
    said: list[str] = []
    done = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert done.failed == 0, "".join(said)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_signature_of_an_operator_has_every_keyword_with_type_and_default(name):
    found = inspect.signature(getattr(tgk, name)).parameters
    assert set(Keywords.__annotations__) <= set(found)
    for keyword, default in defaults().items():
        assert found[keyword].kind is inspect.Parameter.KEYWORD_ONLY
        assert found[keyword].default == default
        assert found[keyword].annotation is not inspect.Parameter.empty
    assert issubclass(inspect.signature(getattr(tgk, name)).return_annotation, tgk.Derivative)


def test_an_editor_reads_the_same_as_help_shows(root):
    written = (root / "tfgradkit" / "public_operators.pyi").read_text()
    assert set(operator_stub.operators()) == set(OPERATORS)
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(operator_stub.stub())), "run scripts/operator_stub.py"


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_says_its_shapes_and_its_source(name):
    text = getattr(tgk, name).__doc__
    assert "One sample:" in text
    assert "atched:" in text
    assert "References:" in text


def test_the_defaults_are_those_in_force():
    derivative = tgk.jacobian(lambda x: x)
    assert not derivative.source.batched
    assert all(getattr(derivative.options, name, value) == value for name, value in defaults().items())


def test_no_keyword_has_the_name_of_a_layers_own():
    """``layers.Derivative`` takes them all."""
    assert set(Keywords.__annotations__).isdisjoint({"dtype", "name", "trainable", "autocast", "activity_regularizer"})


def test_an_unknown_keyword_is_a_type_error_that_names_the_known_ones():
    with pytest.raises(TypeError, match=r"jacobian.. has no keyword 'stategy'; it has argnums, .*strategy"):
        tgk.jacobian(lambda x: x, stategy="loop")


def test_names_are_functions_whatever_modules_were_imported(root):
    code = """
import importlib, pkgutil, types, tfgradkit
for found in pkgutil.walk_packages(tfgradkit.__path__, "tfgradkit."):
    if found.name != "tfgradkit.__main__":
        importlib.import_module(found.name)
for name in tfgradkit.__all__:
    print(name, isinstance(getattr(tfgradkit, name), types.ModuleType))
from tfgradkit import *
assert jacobian is tfgradkit.jacobian and explain is tfgradkit.explain
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {line.split()[0] for line in done.stdout.splitlines() if line.endswith("True")}
    assert modules == set(MODULES)


@pytest.mark.parametrize("stub", ["__init__", "types"])
def test_a_stub_imports_what_it_lists(root, stub):
    body = ast.parse((root / "tfgradkit" / f"{stub}.pyi").read_text()).body
    imported = [alias for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(alias.asname == alias.name for alias in imported), "a plain import is private to type checkers"
    [listed] = [node.value for node in body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(listed) == sorted(alias.name for alias in imported)


def test_classes_of_results_are_not_left_among_the_names_of_the_package():
    code = "import tfgradkit as tgk; tgk.types.Plan, tgk.types.Audit; print('Plan' in vars(tgk), tgk.Audit.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "Audit"]


def test_functions_can_be_pickled():
    for name, function in FUNCTIONS.items():
        assert pickle.loads(pickle.dumps(function)) is function, name


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_a_class_of_results_names_its_public_module(name):
    found = getattr(tgk.types, name)
    assert (found.__module__, found.__qualname__) == ("tfgradkit.types", name)
    assert repr(found) == f"<class 'tfgradkit.types.{name}'>"
    assert pickle.loads(pickle.dumps(found)) is found
    assert f":class:`{name}`" in tgk.types.__doc__


def test_layers_and_others_name_their_public_modules():
    assert {getattr(tgk.layers, name).__module__ for name in tgk.layers.__all__} == {"tfgradkit.layers"}
    assert tgk.report.Limits.__module__ == "tfgradkit.report"
    assert tgk.ExplainingTape.__module__ == "tfgradkit"


@pytest.mark.parametrize("name", ["Derivative", "Altered", "Checkpoint", "ClipGradient", "ReverseGradient"])
def test_keras_names_are_what_they_were(name):
    assert keras.saving.get_registered_name(getattr(tgk.layers, name)) == f"tfgradkit>{name}"


def square(x):
    return x**2


def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])


DATA = {
    "Attribution": lambda: tgk.attribution.saliency(model())(np.ones([2, 3])),
    "Audit": lambda: tgk.audit(tf.image.hsv_to_rgb, tf.TensorSpec([4, 4, 3])),
    "Obstacle": lambda: tgk.audit(tf.image.hsv_to_rgb, tf.TensorSpec([4, 4, 3]), order=2, target="xla"),
    "BatchIndependence": lambda: tgk.check_batch_independence(model(), np.ones([2, 3])),
    "CSRTensors": lambda: tgk.sparse_jacobian(square, format="tensors")(np.ones(3)),
    "ColouredStep": lambda: _called(tgk.sparse_jacobian(square), np.ones(3)).plan.steps[-1],
    "Explanation": lambda: tgk.explain(tf.round, tf.constant([0.5])),
    "Connection": lambda: tgk.explain(tf.round, tf.constant([0.5]))[0],
    "Finding": lambda: tgk.check_gradients(square, np.ones(3)).findings[0],
    "GradientCheck": lambda: tgk.check_gradients(square, np.ones(3)),
    "GraphSummary": lambda: tgk.graph_summary(square, tf.TensorSpec([3])),
    "NonFinite": lambda: tgk.locate_nonfinite(tf.sqrt, np.zeros(2)),
    "Plan": lambda: _called(tgk.hessian(square), np.ones(3)).plan,
    "PlanStep": lambda: _called(tgk.jacobian(square), np.ones(3)).plan.steps[0],
    "RegisteredGradient": lambda: tgk.registered_gradients()[0],
    "Solution": lambda: tgk.implicit(lambda u, p: u**3 - p, initial=np.ones(2)).solve(np.array([1.0, 8.0])),
    "StepReport": lambda: _called(_wrapped(), np.ones([1, 2])).report,
    "StraightThroughFunction": lambda: tgk.straight_through("sign"),
    "Structure": lambda: tgk.structure(tgk.jacobian(square), tf.TensorSpec([3])),
}


def _wrapped():
    return tgk.wrap_external(np.sin, tf.TensorSpec([None, 2], tf.float64), "finite-difference")


def _called(derivative, x):
    if isinstance(derivative, tgk.types.External):
        tgk.jacobian(derivative)(x)
    else:
        derivative(x)
    return derivative


def as_plain(value):
    """The same as nests of Python's own types, to be compared."""
    if isinstance(value, (tf.Tensor, np.ndarray)):
        return np.asarray(value).tolist()
    if hasattr(value, "toarray"):
        return value.toarray().tolist()
    if isinstance(value, dict):
        return {key: as_plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(one) for one in value]
    return as_plain(vars(value)) if hasattr(value, "__dict__") and not isinstance(value, types.FunctionType) else value


@pytest.mark.parametrize("name", sorted(DATA))
def test_results_that_are_data_are_pickled(name):
    result = DATA[name]()
    text = pickle.dumps(result)
    assert b"tfgradkit.types" in text or name == "Obstacle" or name == "StraightThroughFunction"
    back = pickle.loads(text)
    assert type(back) is type(result)
    assert str(type(back)).startswith("<class 'tfgradkit.types.")
    assert as_plain(back) == as_plain(result)


NOT_DATA = {
    "Derivative": lambda: tgk.jacobian(square),
    "Differentiable": lambda: tgk.jacobian(square).source,
    "External": _wrapped,
    "Implicit": lambda: tgk.implicit(lambda u, p: u - p),
    "LinearMap": lambda: tgk.linearize(square)(np.ones(3))[1],
    "Linearize": lambda: tgk.linearize(square),
    "Method": lambda: tgk.attribution.saliency(model()),
    "Registration": lambda: tgk.register_gradient("Floor", lambda op, u: u, replace=True),
    "SparseJacobian": lambda: tgk.sparse_jacobian(square),
    "WrappedFunction": lambda: tgk.checkpoint(square),
}


@pytest.mark.parametrize("name", sorted(NOT_DATA))
def test_what_holds_traces_or_closures_says_what_to_pickle(name, rules_as_before):
    with pytest.raises(TypeError, match=f"a {name} can't be pickled: .+"):
        pickle.dumps(NOT_DATA[name]())


def test_a_tape_says_what_to_pickle():
    with pytest.raises(TypeError, match="a ExplainingTape can't be pickled: pickle what its explain returned"):
        pickle.dumps(tgk.ExplainingTape())


def test_every_result_is_tried():
    # In a Structure, in a NonFinite, in a GradientCheck; test_native_loader.py.
    parts = {"Block", "Fact", "Operand", "WrongOp", "NativeLibrary"}
    assert set(DATA) | set(NOT_DATA) | parts == RESULTS


def test_a_derivative_is_copied_as_ever():
    import copy

    derivative = tgk.jacobian(square)
    for made in (copy.copy(derivative), copy.deepcopy(derivative)):
        assert made is not derivative
        assert made(np.ones(2)).numpy().tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_a_wheel_holds_the_stubs_and_the_mark(root, tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    copied = tmp_path / "source"
    parts = ("tfgradkit", "setup.cfg", "pyproject.toml")
    kept = [line for line in _tracked(root) if line.split("/")[0] in parts]
    for line in [*kept, "README.md", "LICENSE"]:
        (copied / line).parent.mkdir(parents=True, exist_ok=True)
        (copied / line).write_bytes((root / line).read_bytes())
    done = subprocess.run([*command, "-w", str(tmp_path), str(copied)], capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip(f"no wheel can be built here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    inside = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        assert {f"tfgradkit/{name}" for name in DATA_FILES} <= set(archive.namelist())
        archive.extractall(inside)
    code = f"import sys; sys.path.insert(0, {str(inside)!r}); import tfgradkit as tgk; print(tgk.__file__, dir(tgk))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split()[0] == str(inside / "tfgradkit" / "__init__.py")
    assert "'jacobian'" in done.stdout


def _tracked(root):
    listed = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()
