"""Which parts of an input a result comes from: gradients as heat maps.

Each method takes a Keras model, or any batched function, and returns a callable that is traced once:
``saliency(model)(images, target=3).values`` is shaped like ``images``. ``target`` is the element of each
sample's result that is explained: an integer, a tuple for results of several axes, one for each sample
in an array ``[B]``; None takes each sample's largest.
"""

from __future__ import annotations

from .cam import grad_cam as grad_cam
from .figure import plot as plot
from .gradients import gradient_times_input as gradient_times_input
from .gradients import guided_backpropagation as guided_backpropagation
from .gradients import integrated_gradients as integrated_gradients
from .gradients import saliency as saliency
from .gradients import smooth_grad as smooth_grad
from .method import Attribution as Attribution
from .method import Method as Method

__all__ = [
    "Attribution",
    "Method",
    "grad_cam",
    "gradient_times_input",
    "guided_backpropagation",
    "integrated_gradients",
    "plot",
    "saliency",
    "smooth_grad",
]
