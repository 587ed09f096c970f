"""Variables baked in as constants.

The one file that touches ``tensorflow.python.framework.convert_to_constants``.
"""

from __future__ import annotations

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
