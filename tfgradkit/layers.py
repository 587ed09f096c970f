"""The toolkit's Keras layers: the derivative of a model, and the layers that change gradients or memory.

:class:`Derivative` stands here; the other layers live with the rules that they apply (``custom``).
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .custom.checkpoint.checkpoint import Checkpoint
from .custom.external.external_layer import ExternalLayer
from .custom.override.override_model import Altered
from .custom.override.transform_layers import ClipGradient, ReverseGradient, StopGradient, StraightThrough
from .derivatives.derivative import Derivative as _Derivative
from .derivatives.keywords import Keywords, documented
from .derivatives.operator_table import LAYOUTS, OPERATORS, SEED_NAMES
from .derivatives.operators import build
from .errors import SignatureError, SourceError
from .graph.trace import flat_function, specs_of

__all__ = [
    "Altered",
    "Checkpoint",
    "ClipGradient",
    "Derivative",
    "ExternalLayer",
    "ReverseGradient",
    "StopGradient",
    "StraightThrough",
]

_FIXED = ("has_aux", "batched")


@documented(without=_FIXED)
@keras.saving.register_keras_serializable(package="tfgradkit", name="Derivative")
class Derivative(keras.layers.Layer):
    """A derivative of a Keras model as a layer: in a functional or subclassed model, trained, saved, exported.

    The weights of ``model`` are weights of the layer. It is saved with the layer, in ``.keras`` files, too.

    Called as the model; the kinds that take a seed, as ``layer([x, seed])``, ``layer(x, output_gradients=u)`` or
    ``layer(x, tangents=v)``. Results are shaped as the operator's: ``[B] + y + x`` for a Jacobian.

    Args:
        model: a built Keras 3 model or layer.
        kind: an operator ("jacobian", "gradient", "hessian", "vjp", "jvp", "hvp", ...) or one of its twins
            ("value_and_jacobian", "value_gradient_and_hessian"), which returns a tuple, the value first.
        name: of the layer.
        keywords: ``dtype`` and ``trainable``, as of every Keras layer; and those of the operators, but for ``batched``
            and ``has_aux``. ``training`` is what the layers of ``model`` are told, whatever the model around is told.

    Raises:
        SourceError: no Keras 3 model or layer, or one that isn't built.
        SignatureError: no such kind, keyword, or value of one.
        GradientError: from the call: the derivative does not exist.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> tgk.layers.Derivative(model)(tf.ones([4, 3])).shape
        TensorShape([4, 2, 3])
    """

    def __init__(self, model: Any, kind: str = "jacobian", *, name: str | None = None, **keywords: Any) -> None:
        _check_model(model)
        own = {key: keywords.pop(key) for key in ("trainable", "dtype") if key in keywords}
        operator, parts = _parsed(kind)
        _check_keywords(keywords)
        # The operators cast to the model's dtype; Keras must not round the inputs before.
        super().__init__(name=name, dtype=own.pop("dtype", model.dtype_policy), autocast=False, **own)
        self.model = model
        self.kind = kind
        self.keywords = keywords
        self._seed_name = SEED_NAMES.get(operator)
        self._derivative: _Derivative = build(operator, parts, model, keywords)  # type: ignore[arg-type]
        self.built = True

    def call(self, inputs: Any, output_gradients: Any = None, tangents: Any = None) -> Any:
        """The derivative at ``inputs``."""
        seeds = {"output_gradients": output_gradients, "tangents": tangents}
        if self._seed_name is not None and all(seed is None for seed in seeds.values()):
            inputs, seeds[self._seed_name] = self._split(inputs)
        return self._derivative(inputs, **seeds)

    def compute_output_spec(self, inputs: Any, output_gradients: Any = None, tangents: Any = None, **_: Any) -> Any:
        """Shapes and dtypes for symbolic tensors; None for the batch stays None."""
        arguments = (inputs, output_gradients, tangents)
        flat, leaves = flat_function(lambda given: self.call(*given), arguments, lambda leaf: leaf is not None)
        results = tf.function(flat, autograph=False).get_concrete_function(*specs_of(leaves)).structured_outputs
        return keras.tree.map_structure(lambda y: keras.KerasTensor(tuple(y.shape), y.dtype.name), results)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape for a shape, or the shapes for a nest of them."""
        specs = _mapped(lambda shape: keras.KerasTensor(shape, self.model.compute_dtype), input_shape)
        return keras.tree.map_structure(lambda spec: tuple(spec.shape), self.compute_output_spec(specs))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the layer, the configuration of the model among them."""
        # Twice: from the second time on Keras marks the model as shared, so that several layers of a saved model
        # that hold one model hold one model again after loading.
        keras.saving.serialize_keras_object(self.model)
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model, "kind": self.kind, **self.keywords}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Derivative:
        """The layer of a configuration."""
        rest = {key: value for key, value in config.items() if key != "model"}
        return cls(keras.saving.deserialize_keras_object(config["model"]), **rest)

    def _split(self, inputs: Any) -> tuple[Any, Any]:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise SignatureError(
                f"{self._seed_name}= is missing",
                subject=f"layer {self.name}",
                expected=f"layer([x, {self._seed_name}]), or layer(x, {self._seed_name}=...)",
                got="layer(x)",
            )
        *xs, seed = inputs
        return xs[0] if len(xs) == 1 else xs, seed


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.layers.Layer):
        raise SourceError(
            "only a Keras model can become a layer",
            expected="a Keras 3 model or layer",
            got=type(model).__name__,
            hint="of other functions, call tgk.jacobian(fn) in the call method of a layer of your own",
        )
    if not model.built:
        raise SourceError(
            "the model is not built", subject=model.name, hint="call it once, or model.build(input_shape)"
        )


def _parsed(kind: str) -> tuple[str, tuple[str, ...]]:
    """The operator and its parts: "value_gradient_and_hessian" is the operator "hessian" with all three parts."""
    parts = (kind,) if kind in OPERATORS else tuple(str(kind).replace("_and_", "_").split("_"))
    operator = parts[-1]
    # Only parts with letters in their layout are nests of tensors.
    kinds = [name for name in OPERATORS if all(LAYOUTS[name].values())]
    if operator not in kinds or any(part not in LAYOUTS[operator] for part in parts):
        raise SignatureError(
            "no such kind", subject="kind", expected=f"{' | '.join(kinds)}, also value_and_...", got=repr(kind)
        )
    return operator, parts


def _check_keywords(keywords: dict[str, Any]) -> None:
    for key, value in keywords.items():
        if key in _FIXED or key not in Keywords.__annotations__:
            known = ", ".join(sorted(set(Keywords.__annotations__) - set(_FIXED)))
            raise SignatureError("the layer has no such keyword", expected=known, got=key)
        if key == "wrt" and not isinstance(value, str):
            raise SignatureError(
                "the layer can't be saved with variables in its configuration",
                subject="wrt",
                expected='"inputs" | "parameters" | "layer:NAME"',
                got=type(value).__name__,
            )


def _mapped(make: Any, shapes: Any) -> Any:
    """``make`` of every shape in a nest; a shape is a tuple or list of sizes."""
    if isinstance(shapes, dict):
        return {key: _mapped(make, shape) for key, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return make(tuple(shapes))
    return type(shapes)(_mapped(make, shape) for shape in shapes)
