"""Why an op has no gradient: patterns of op types, and the reason; the first that fits holds."""

from __future__ import annotations

BY_NATURE = {
    r"Ceil|Floor|FloorDiv|TruncateDiv|Rint|Round|Sign|NextAfter": "steps: the derivative is zero, or of a rounding",
    r"OnesLike|ZerosLike|StopGradient|PreventGradient|GuaranteeConst": "no gradient, by intent",
    r"Bitcast": "reads the bits",
    r"EditDistance": "counts",
    r"CTCBeamSearchDecoder": "a search among labels",
    r"LookupTable.*|DecodeCSV|Parse.*Example.*|LoadAndRemapMatrix": "reads tables, files or text; numbers are defaults",
    r".*(Random|Sample|Stateful).*(Poisson|Binomial|Uniform|Normal|BoundingBox).*|NonDeterministicInts|RandomPoissonV2"
    r"|StatefulUniform.*|StatefulTruncatedNormal|KmeansPlusPlus.*": "random numbers, whose floats are shapes, counts or bounds",
    r"NearestNeighbors|BoostedTrees.*": "searches and counts for training",
    r"(Resource)?(Sparse)?Apply.*|Sdca.*": "an optimizer's step changes variables",
    r"Assign.*|Scatter(Add|Div|Mul|Sub|Update|Max|Min|Nd(Add|Sub|Update|Max|Min))|StridedSliceAssign|DestroyTemporaryVariable"
    r"|StackPush.*|CheckPinned": "changes a variable or a stack of TensorFlow 1; state leads no derivative on",
    r"Quantize(V2|DownAndShrinkRange)|Quantized.*|Requantiz.*|Dequantize|Uniform(Dequantize|Quantized.*)": "integers stand for the numbers; QuantizeAndDequantize and FakeQuant have gradients",
    r"Debug.*": "tells a debugger",
    r"ReduceDataset|MapDefun|BatchFunction|Batch|Unbatch|UnbatchGrad|RemoteCall": "runs batches of a server or a data pipeline",
    r"Collective(Gather|Bcast|Reduce|AllToAll).*|.*TPU.*|Xla.*|Convert.*Coo.*|Convert.*Csr.*|GetMinibatch.*|SortListOf.*": "between devices, or on TPUs alone",
    r"TensorArrayGrad.*": "a handle; the gradients go through the arrays",
}

NONE = {
    r"PartitionedCall|StatefulPartitionedCall|SymbolicGradient": "has the gradient of the function it calls",
    r"For": "TensorFlow 1's loop; While has a gradient",
    r"RefSelect": "of variables of TensorFlow 1",
    r"PyFunc.*": "Python code; wrap_external or tf.custom_gradient give it one",
    r"FFTND|IFFTND|RFFTND|IRFFTND|.*BackpropFilterV2|.*BackpropInputV2|MaxPoolGradGradWithArgmax|CudnnRNN.*": "no CPU kernel, so that no rule could be tested here",
    r"HSVToRGB": "tf.image.hsv_to_rgb is replaced while a function is traced here",
    r"ResizeBilinearGrad|FakeQuant.*Gradient": "the op's own rule here does without it",
    r"DrawBoundingBoxes": "DrawBoundingBoxesV2, which tf.image uses, has one here",
    r"ExtractGlimpse": "ExtractGlimpseV2, which tf.image uses, has one here",
    r"OneHot": "linear in on_value and off_value; tf.where has a gradient",
    r"RandomCrop|RandomShuffle": "a random place that is not given back; tf.gather with a random index has a gradient",
    r"RaggedRange": "linear in starts and steps",
    r"SparseConcat|SparseAddGrad": "needs indices, which a tape does not keep of it; concatenate the values instead",
    r"CTCGreedyDecoder": "the sum of the largest logits, which tf.reduce_max has a gradient of",
    r"GenerateBoundingBoxProposals|CombinedNonMaxSuppression": "which boxes were chosen is not given back; NonMaxSuppressionV5 has one here",
    r"BlockLSTMGrad.*|GRUBlockCellGrad|LSTMBlockCellGrad": "second order of TensorFlow 1's cells; a Keras layer has it",
    r"MaxPoolGradGradV2": "of windows that are tensors; MaxPoolGradGrad has one",
    r"Mfcc": "tf.signal has the same of ops with gradients",
    r"TensorMapLookup": "maps of tensors",
    r"ParameterizedTruncatedNormal": "StatelessParameterizedTruncatedNormal has one",
    r"TensorArray.*": "TensorFlow no longer runs it",
    r"ParallelConcat": "graphs of TensorFlow 1 alone; tf.stack has one",
}
