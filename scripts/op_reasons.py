"""Why an op has no gradient: by reason, the ops as a pattern with free spaces; the first reason that fits holds."""

from __future__ import annotations

BY_NATURE = {
    "steps: the derivative is zero": "Ceil | Floor | FloorDiv | TruncateDiv | Rint | Round | Sign",
    "the next number that there is": "NextAfter",
    "no gradient, by intent": "OnesLike | ZerosLike | StopGradient | PreventGradient | GuaranteeConst",
    "reads the bits": "Bitcast",
    "counts, or searches among labels": "EditDistance | CTCBeamSearchDecoder",
    "reads a table, a file or text": "LookupTable.* | DecodeCSV | Parse.*Example.* | LoadAndRemapMatrix",
    "random numbers or boxes; the floats are shapes, counts or bounds": """
        .*Poisson.* | .*RandomBinomial | Stateful(Standard|Truncated|Uniform).* | NonDeterministicInts
        | .*SampleDistortedBoundingBox.* | KmeansPlusPlusInitialization""",
    "a search, or a step of training trees": "NearestNeighbors | BoostedTrees.*",
    "an optimizer's step, which changes variables": "(Sparse)?Apply.* | Sdca.*",
    "changes a variable, or a stack of TensorFlow 1; state leads no derivative on": """
        Assign.* | Scatter(Add|Div|Mul|Sub|Update|Max|Min) | ScatterNd(Add|Sub|Update|Max|Min)
        | StridedSliceAssign | DestroyTemporaryVariable | StackPush.* | CheckPinned""",
    "integers stand for the numbers; QuantizeAndDequantize and FakeQuant have gradients": """
        Quantize(V2|DownAndShrinkRange) | Quantized.* | Requantiz.* | Dequantize | Uniform(Dequantize|Quantized.*)""",
    "tells a debugger": "Debug(Identity|IdentityV3|NumericSummary|NumericSummaryV2)",
    "runs the batches of a server, or a data pipeline": """
        ReduceDataset | MapDefun | BatchFunction | Batch | Unbatch | UnbatchGrad | RemoteCall""",
    "between devices, or on TPUs alone": """
        Collective(Gather|Bcast|Reduce|AllToAll).* | TPU.* | Xla.* | ConvertTo.*Coo.* | ConvertTo.*Csr.*
        | GetMinibatch.* | SortListOf.*""",
    "a handle; the gradients go through the arrays": "TensorArrayGrad.*",
}

NONE = {
    "has the gradient of the function it calls": "PartitionedCall | StatefulPartitionedCall | SymbolicGradient",
    "TensorFlow 1's loop; While has one": "For",
    "of variables of TensorFlow 1": "RefSelect",
    "Python code; tf.custom_gradient gives it one": "PyFunc.*",
    "no CPU kernel, so that no rule could be tested here": """
        I?R?FFTND | Conv2DBackprop.*V2 | MaxPoolGradGradWithArgmax | CudnnRNN.*""",
    "tf.image.hsv_to_rgb is replaced while a function is traced here": "HSVToRGB",
    "the rule here of the op that it belongs to does without it": """
        ResizeBilinearGrad | FakeQuant.*Gradient | QuantizeAndDequantizeV4Grad""",
    "DrawBoundingBoxesV2, which tf.image calls, has one here": "DrawBoundingBoxes",
    "ExtractGlimpseV2, which tf.image calls, has one here": "ExtractGlimpse",
    "linear in on_value and off_value; tf.where has one": "OneHot",
    "of a random place that is not given back; tf.gather at a random place has one": "RandomCrop | RandomShuffle",
    "linear in starts and steps": "RaggedRange",
    "needs indices, which a tape does not keep of it": """
        SparseConcat | SparseAddGrad | SparseDenseCwiseAdd | SparseSparse(Maximum|Minimum)""",
    "sums the largest logits; tf.reduce_max has one": "CTCGreedyDecoder",
    "which boxes were chosen is not given back; NonMaxSuppressionV5 has one here": """
        GenerateBoundingBoxProposals | CombinedNonMaxSuppression""",
    "second order of cells of TensorFlow 1": "BlockLSTMGrad.* | GRUBlockCellGrad | LSTMBlockCellGrad",
    "of windows that are tensors; MaxPoolGradGrad has one": "MaxPoolGradGradV2",
    "tf.signal has the same, of ops that have one": "Mfcc",
    "maps of tensors": "TensorMapLookup",
    "StatelessParameterizedTruncatedNormal has one": "ParameterizedTruncatedNormal",
}
