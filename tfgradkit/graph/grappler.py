"""A graph with its variables baked in as constants, and TensorFlow's own graph optimizer, Grappler.

The one file that touches ``tensorflow.python.framework.convert_to_constants`` and ``tensorflow.python.grappler``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2

from ..errors import GraphError
from ..tensorflow_version import require_tensorflow
from .ops import CALLS


def frozen(concrete: Any, *, lower_control_flow: bool = True) -> Any:
    """A concrete function without variables and calls, with the same values as ``concrete`` has now.

    ``lower_control_flow`` makes branches and loops those of TensorFlow 1, of plain ops.

    Raises:
        GraphError: TensorFlow can't freeze it.
    """
    require_tensorflow()
    from tensorflow.python.framework import convert_to_constants as convert

    class Data(convert._FunctionConverterDataInEager):
        def __init__(self) -> None:
            self._func = concrete
            graph = _inlined(concrete, lower_control_flow)
            _take_handles_from_before_loops(graph)
            convert._ConverterData.__init__(self, graph)
            self._build_tensor_data()

    try:
        return convert._construct_concrete_function(concrete, *convert._replace_variables_by_constants(Data()))
    except (ValueError, KeyError, tf.errors.OpError) as error:
        raise GraphError(
            "the function can't be frozen",
            got=str(error).split("\n", 1)[0],
            hint="is there a variable that the function changes, or a resource that is no variable?",
        ) from error


def _inlined(concrete: Any, lower_control_flow: bool) -> Any:
    """The GraphDef of a concrete function, with calls replaced by what they call."""
    graph = concrete.graph.as_graph_def()
    for function in graph.library.function:
        # Grappler leaves functions alone that have another implementation, or that are compiled by XLA on their own.
        for attribute in ("api_implements", "_XlaMustCompile", "_noinline"):
            function.attr.pop(attribute, None)
    for node in [*graph.node, *(n for function in graph.library.function for n in function.node_def)]:
        node.attr.pop("_XlaMustCompile", None)
        if node.op in CONTROL_FLOW and not lower_control_flow:
            node.attr["_lower_using_switch_merge"].b = False
    _name_calls_apart(graph, {tensor.op.name for tensor in concrete.outputs})
    return _optimized(
        graph, concrete.graph, [tensor.name for tensor in (*concrete.inputs, *concrete.outputs)], ("function",)
    )


def _name_calls_apart(graph: Any, kept: set[str]) -> None:
    """Gives calls names that begin no other op's name, all but those that are ``kept``.

    Where they are inlined, an op ``x`` of the function called by ``f`` becomes ``f/x``. If there is an ``f/x``
    already, Grappler ends the process.
    """
    number = itertools.count()
    tables = [(graph.node, ()), *((f.node_def, (f.ret, f.control_ret)) for f in graph.library.function)]
    for nodes, results in tables:
        renamed = {
            node.name: f"{node.name}.{next(number)}"
            for node in nodes
            if node.op in CALLS and (results or node.name not in kept)
        }
        for node in nodes:
            node.name = renamed.get(node.name, node.name)
            for i, name in enumerate(node.input):
                node.input[i] = _renamed(name, renamed)
        for table in results:
            for result, name in list(table.items()):
                table[result] = _renamed(name, renamed)


def _renamed(tensor: str, names: dict[str, str]) -> str:
    """A tensor's name with another name for its op: ``f``, ``f:0``, ``f:output:0``, or ``^f``."""
    mark = "^" if tensor.startswith("^") else ""
    op, colon, place = tensor.removeprefix("^").partition(":")
    return f"{mark}{names.get(op, op)}{colon}{place}"


# Ops that call functions as branches or as the body of a loop.
CONTROL_FLOW = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")


def _take_handles_from_before_loops(graph: Any) -> None:
    """Lets ops behind a loop read a variable by the handle that went into the loop, not by the one that came out.

    Both are the same variable. TensorFlow follows a handle into a loop, and not out of it: it can't freeze the
    gradient of a recurrent layer otherwise.
    """
    _bypass_loops(graph.node, "{}:{}")
    for function in graph.library.function:
        entering = _bypass_loops(function.node_def, "{}:output:{}")
        for result, name in list(function.ret.items()):
            function.ret[result] = entering.get(name, name)


def _bypass_loops(nodes: Any, output: str) -> dict[str, str]:
    """Changes inputs of ``nodes`` that are a loop's resources; gives the handle before the loop for each of them."""
    entering: dict[str, str] = {}
    for node in nodes:
        if node.op in ("While", "StatelessWhile"):
            resources = [i for i, dtype in enumerate(node.attr["T"].list.type) if dtype == types_pb2.DT_RESOURCE]
            entering |= {output.format(node.name, i): node.input[i] for i in resources}
    for node in nodes:
        for i, name in enumerate(node.input):
            while name in entering:
                node.input[i] = name = entering[name]
    return entering


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
    try:
        return _optimized(graph.as_graph_def(), graph, tensors, _PASSES, iterations=2)
    except (ValueError, tf.errors.OpError) as error:
        raise GraphError("Grappler refuses the graph", got=str(error).split("\n", 1)[0]) from error


def _optimized(
    definition: Any, graph: tf.Graph, tensors: Sequence[str], passes: Sequence[str], iterations: int = 1
) -> Any:
    from tensorflow.python.grappler import tf_optimizer

    meta = tf.compat.v1.train.export_meta_graph(graph_def=definition, graph=graph, clear_devices=True)
    # Grappler keeps the tensors in this collection.
    meta.collection_def["train_op"].node_list.value.extend(tensors)
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1  # small graphs, too
    rewriting.meta_optimizer_iterations = iterations
    rewriting.optimizers.extend(passes)
    rewriting.fail_on_optimizer_errors = True
    return tf_optimizer.OptimizeGraph(config, meta, verbose=False)
