"""A graph with its variables baked in as constants, and TensorFlow's own graph optimizer, Grappler.

The one file that touches ``tensorflow.python.framework.convert_to_constants`` and ``tensorflow.python.grappler``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..errors import GraphError
from ..tensorflow_version import require_tensorflow


def frozen(concrete: Any, *, lower_control_flow: bool = True) -> Any:
    """A concrete function without variables and calls, with the same values as ``concrete`` has now.

    ``lower_control_flow`` makes branches and loops those of TensorFlow 1, of plain ops.

    Raises:
        GraphError: TensorFlow can't freeze it.
    """
    require_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        return convert_variables_to_constants_v2(concrete, lower_control_flow=lower_control_flow)
    except (ValueError, KeyError, tf.errors.OpError) as error:
        raise GraphError(
            "the function can't be frozen",
            got=str(error).split("\n", 1)[0],
            hint="TensorFlow can't freeze the derivative of a loop that reads variables, such as a recurrent layer's; "
            "the model itself can be",
        ) from error


# Passes that leave plain ops: constant folding, known shapes, algebra, common subexpressions, removal of ops that
# aren't needed. Not the passes that fuse ops or choose layouts and devices, whose ops have no gradients.
_PASSES = (
    *("function", "pruning", "constfold", "shape", "arithmetic", "loop", "dependency"),
    *("constfold", "common_subgraph_elimination", "pruning"),
)


def optimized(graph: tf.Graph, tensors: Sequence[str]) -> Any:
    """The GraphDef that is left of ``graph``: what makes ``tensors``, the names of inputs and results, which stay.

    Raises:
        GraphError: Grappler refuses the graph.
    """
    require_tensorflow()
    from tensorflow.python.grappler import tf_optimizer

    meta = tf.compat.v1.train.export_meta_graph(graph_def=graph.as_graph_def(), graph=graph, clear_devices=True)
    # Grappler keeps the tensors in this collection.
    meta.collection_def["train_op"].node_list.value.extend(tensors)
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1  # small graphs, too
    rewriting.meta_optimizer_iterations = 2
    rewriting.optimizers.extend(_PASSES)
    rewriting.fail_on_optimizer_errors = True
    try:
        return tf_optimizer.OptimizeGraph(config, meta, verbose=False)
    except (ValueError, tf.errors.OpError) as error:
        raise GraphError("Grappler refuses the graph", got=str(error).split("\n", 1)[0]) from error
