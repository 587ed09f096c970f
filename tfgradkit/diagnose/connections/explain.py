"""``explain``: which inputs of a function reach which outputs, and what cuts the gradient where they don't."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import as_floating, is_numbers, structure_text
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...graph.location import Location, is_users, users_frame
from ...graph.recording import Recording
from ...graph.view import leaf_names
from ...sources.resolve import resolve
from .answers import answers
from .block import Block
from .code import Code
from .connection import Connection, Explanation
from .named import Named
from .parameters import chosen, is_frozen
from .tape import ExplainingTape

_BATCH, _SIZE, _NEAR = 4, 8, 1e-2


def explain(fn: Any, *args: Any, wrt: Any = "inputs", training: bool = False) -> Explanation:
    """Whether each output of ``fn`` has a gradient by each input; if not, what cuts it, and what to write instead.

    The function runs once, eagerly, under a tape. What the tape returns is the status; the ops that ran tell
    the cause. So the answer is about these arguments: another branch may be taken for others. Where a
    gradient is zero, the function runs at a second point nearby, and a zero that is gone there is no finding.

    Args:
        fn: what the operators take.
        args: its arguments; of a model they may be left out, and random numbers are tried.
        wrt: "inputs"; "parameters", the variables made to be trained, those of frozen layers, too; or variables.
        training: what Keras layers are told.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: an argument or ``wrt`` can't be used, or the result holds no tensor.
    """
    source = resolve(fn, training=training)
    plain = inspect.isfunction(fn) or inspect.ismethod(fn)
    run = _Run(fn if plain else source.call, source, wrt, *_code(fn))
    given = _tensors(list(args) or _sample(source), source)
    explanation = run.at(given)
    return _lasting(explanation, run, given) if any(c.status == "zero" for c in explanation) else explanation


@dataclass(frozen=True)
class _Run:
    call: Any
    source: Differentiable
    wrt: Any
    code: Code | None
    lines: tuple[int, int] | None

    def at(self, given: list[Any]) -> Explanation:
        """The answer for arguments."""
        inputs = _inputs(given, self.source)
        by_inputs = isinstance(self.wrt, str) and self.wrt == "inputs"
        picked = inputs if by_inputs else chosen(self.wrt, self.call, self.source)
        try:
            found = self._under_tape(given, inputs, picked)
        except LookupError:  # a tf.function is differentiated when a tape sees it called
            found = self._by_ops(given, picked)
        parameters = picked * (len(found) // len(picked))
        return Explanation(tuple(self._with_frozen(c, x) for c, x in zip(found, parameters, strict=True)))

    def _under_tape(self, given: list[Any], inputs: list[Named], picked: list[Named]) -> Explanation:
        watched = [x.value for x in inputs if x.variable is None and _floating(x.dtype)]
        found: list[Connection] = []
        while True:
            tape = ExplainingTape(persistent=True)
            with tape:
                tape.watch(watched)
                result = self.call(*given)
            outputs = _outputs(result, self.source)[len(found) // len(picked) :]
            if any(step.type == "EagerPyFunc" for step in tape._record.steps):
                outputs = outputs[:1]  # tf.py_function keeps what it needs for one gradient only
            found += tape._explanation(outputs, picked, self.code, self.lines, self.source.layer_names)
            if len(found) >= len(picked) * len(_outputs(result, self.source)):
                return Explanation(tuple(found))

    def _by_ops(self, given: list[Any], picked: list[Named]) -> Explanation:
        """Without a tape, which would fail."""
        recording = Recording()
        recording.start()
        try:
            result = self.call(*given)
        finally:
            recording.stop()
        watched = {x.tensor.ref(): 0 for x in picked if x.variable is None or x.variable.trainable}
        block = Block(recording.steps, watched, self.code, self.lines, layer_names=self.source.layer_names)
        return answers(block, _outputs(result, self.source), picked)

    def _with_frozen(self, connection: Connection, parameter: Named) -> Connection:
        """A tape gives a gradient by frozen parameters, too; the list that one trains by leaves them out."""
        if self.wrt != "parameters" or connection.status == "none" or not is_frozen(parameter, self.source):
            return connection
        return replace(
            connection,
            status="none",
            cause="not_trainable",
            where=str(self.code.location) if self.code else None,
            layer=parameter.layer,
            why=f"Layer {parameter.layer} is frozen, so model.trainable_variables leaves {parameter.name} out.",
            remedy=f'model.get_layer("{parameter.layer}").trainable = True',
        )


def _lasting(explanation: Explanation, run: _Run, given: list[Any]) -> Explanation:
    """Zeros that are there at a point nearby, too; others are chance."""
    again = run.at([_near(leaf) for leaf in given])
    if len(again) != len(explanation):
        return explanation
    pairs = zip(explanation, again, strict=True)
    return Explanation(tuple(_connected(c) if c.status == "zero" != near.status else c for c, near in pairs))


def _connected(connection: Connection) -> Connection:
    return Connection(connection.output, connection.input, "connected")


def _near(nest: Any) -> Any:
    """Each floating tensor moved by a hundredth of its size; text, flags and variables as they are."""
    random = np.random.default_rng(1)

    def moved(leaf: Any) -> Any:
        if not isinstance(leaf, tf.Tensor) or not leaf.dtype.is_floating:
            return leaf
        step = tf.cast(random.uniform(_NEAR / 2, _NEAR, leaf.shape), leaf.dtype)
        return leaf + step * (1 + tf.abs(leaf))

    return tf.nest.map_structure(moved, nest)


def _tensors(arguments: list[Any], source: Differentiable) -> list[Any]:
    """The arguments with tensors for numbers and arrays, each one of its own.

    Python integers and flags stay as they are, as what they mostly are: options.
    """
    names = source.argument_names or ("x",)
    made = [_nest(x, names[i] if i < len(names) else f"argument {i}") for i, x in enumerate(arguments)]
    if not any(isinstance(leaf, (tf.Tensor, tf.Variable)) for leaf in tf.nest.flatten(made)):
        made = [tf.convert_to_tensor(x) if isinstance(x, int) and not isinstance(x, bool) else x for x in made]
    if any(isinstance(leaf, (tf.Tensor, tf.Variable)) for leaf in tf.nest.flatten(made)):
        return made
    raise SignatureError(
        "no argument is a tensor", subject=source.name, expected="tensors or arrays", got=structure_text(arguments)
    )


def _nest(x: Any, role: str) -> Any:
    if is_numbers(x) and not isinstance(x, (int, bool)):
        return tf.convert_to_tensor(x)
    if isinstance(x, dict):
        return type(x)({key: _nest(value, f"{role}[{key!r}]") for key, value in x.items()})
    if isinstance(x, (list, tuple)):
        items = [_nest(value, f"{role}[{i}]") for i, value in enumerate(x)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return _leaf(x, role)


def _leaf(x: Any, role: str) -> Any:
    if x is None or isinstance(x, (str, bytes, bool, int, tf.Variable)) or Named("", x).variable is not None:
        return x
    if callable(x) and not hasattr(x, "__array__"):
        return x
    if isinstance(x, tf.TensorSpec):
        return _random(x)
    try:
        return tf.identity(tf.convert_to_tensor(x))
    except (TypeError, ValueError):
        return as_floating(x, role, None)


def _sample(source: Differentiable) -> list[Any]:
    if source.input_specs is None:
        raise SignatureError(
            "the function has no specs of its own",
            subject=source.name,
            hint="pass its arguments, or a tf.TensorSpec each",
        )
    return list(tf.nest.map_structure(_random, list(source.input_specs)))


def _random(spec: tf.TensorSpec) -> tf.Tensor:
    """Numbers of a spec: normal ones, zeros and ones for integers."""
    random = np.random.default_rng(0)
    sizes = spec.shape.as_list() if spec.shape.rank is not None else [None, _SIZE]
    shape = [size or (_SIZE if axis else _BATCH) for axis, size in enumerate(sizes)]
    if spec.dtype.is_floating or spec.dtype.is_complex:
        return tf.cast(random.normal(size=shape), spec.dtype)
    if spec.dtype == tf.string:
        return tf.fill(shape, "")
    return tf.cast(random.integers(0, 2, shape), spec.dtype)


def _inputs(given: list[Any], source: Differentiable) -> list[Named]:
    roots = source.argument_names or ("x",)
    leaves = tf.nest.flatten(given)
    names = list(source.input_names) if len(source.input_names) == len(leaves) else leaf_names(given, roots)
    pairs = zip(names, leaves, strict=True)
    kept = [(name, x) for name, x in pairs if isinstance(x, tf.Tensor) or Named("", x).variable is not None]
    return [Named(name, x, frozenset({name.split("[")[0]})) for name, x in kept]


def _outputs(result: Any, source: Differentiable) -> list[Named]:
    leaves = tf.nest.flatten([result])
    own = source.output_names
    names = list(own) if len(own) == len(leaves) else leaf_names([result], ("y",))
    found = [Named(name, _output(leaf)) for name, leaf in zip(names, leaves, strict=True) if leaf is not None]
    if found:
        return found
    raise SignatureError(
        "the function's result holds no tensor", subject=source.name, got="None", hint="is a return statement missing?"
    )


def _output(leaf: Any) -> Any:
    if isinstance(leaf, (tf.Tensor, tf.Variable)) or Named("", leaf).variable is not None:
        return leaf
    try:
        return tf.convert_to_tensor(leaf)
    except (TypeError, ValueError) as error:
        raise SignatureError(
            "the function's result can't be made a tensor",
            expected="tensors, in any structure of dicts, lists and tuples",
            got=type(leaf).__name__,
        ) from error


def _floating(dtype: tf.DType) -> bool:
    return dtype.is_floating or dtype.is_complex


def _code(fn: Any) -> tuple[Code | None, tuple[int, int] | None]:
    """The source of a function; of anything else, the line that asks."""
    method = type(fn).call if hasattr(type(fn), "call") else fn  # of a subclassed Keras model
    function = inspect.unwrap(getattr(method, "python_function", method))
    code = getattr(function, "__code__", None)
    if code is not None and is_users(code.co_filename):
        seen = Code(Location(code.co_filename, code.co_firstlineno), anonymous=code.co_name == "<lambda>")
        return seen, seen.lines
    frame = users_frame()
    return (Code(Location(frame.f_code.co_filename, frame.f_lineno)), (0, 0)) if frame is not None else (None, None)
