"""The classes of everything that tfgradkit's functions return: for annotations, ``isinstance`` and ``pickle``.

================================================  =====================================================================
returned by                                       class
================================================  =====================================================================
the operators                                     :class:`Derivative`; ``.plan``: a :class:`Plan` of :class:`PlanStep`
``sparse_jacobian``                               :class:`SparseJacobian`, with a :class:`ColouredStep` in its plan; and
                                                  :class:`CSRTensors` for ``format="tensors"``
``linearize``                                     :class:`Linearize`, which returns a :class:`LinearMap`
``load``                                          :class:`Differentiable`, for what is no Keras model
``explain``, ``ExplainingTape.explain``           :class:`Explanation` of :class:`Connection`
``audit``                                         :class:`Audit` of :class:`Obstacle`
``check_gradients``                               :class:`GradientCheck` of :class:`Finding`, and of :class:`WrongOp`
``check_batch_independence``                      :class:`BatchIndependence`
``locate_nonfinite``                              :class:`NonFinite`, with an :class:`Operand` for each input of the op
``structure``                                     :class:`Structure` of :class:`Block`; what is known is a :class:`Fact`
``graph_summary``                                 :class:`GraphSummary`
``register_gradient``, ``registered_gradients``   :class:`Registration`, :class:`RegisteredGradient`
``wrap_external``                                 :class:`External`, whose ``.report`` is a :class:`StepReport`
``implicit``                                      :class:`Implicit`, whose ``solve`` returns a :class:`Solution`
``override_gradient`` and its siblings            :class:`WrappedFunction`, of functions; of a model a model
``straight_through``                              :class:`StraightThroughFunction`
``export_native``, ``load_native``                :class:`NativeLibrary`
the methods of ``attribution``                    :class:`Method`, which returns an :class:`Attribution`
================================================  =====================================================================

Results that are data can be pickled, tensors among them as NumPy arrays are. So can a :class:`NativeLibrary`, which
opens its folder again, and a :class:`StraightThroughFunction` of named functions. What holds traces, closures or a
tape can't: :class:`Derivative` and its kinds, :class:`LinearMap`, :class:`Differentiable`, :class:`WrappedFunction`,
:class:`External`, :class:`Implicit`, :class:`Registration`, :class:`Method`, and ``ExplainingTape``; ``pickle.dumps``
raises a ``TypeError`` that says what to pickle in their place.
"""

from __future__ import annotations

import sys

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__package__, __file__)


def __getattr__(name: str) -> object:
    """A class by its name; the loader also sets the name in the package, where it is removed."""
    result = globals()[name] = _load(name)
    package = sys.modules[__package__]
    if name not in package.__all__:
        vars(package).pop(name, None)
    return result
