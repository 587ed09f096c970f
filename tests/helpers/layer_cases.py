"""Every Keras layer with a differentiable inference path as a small model, and why the others have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

L = keras.layers


class Case(NamedTuple):
    """A layer on symbolic inputs, the shapes of one sample, and the values it wants."""

    make: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    single: bool = False  # whether a kernel computes in float32 whatever it is given
    dtype: str = "float64"  # of the model: some kernels take float32 alone
    low: float = -1.0
    high: float = 1.0
    modes: tuple[str, ...] = ("forward", "reverse")  # "auto" alone where tracing both would take long
    smooth: bool = True  # whether there is a second derivative worth a look


def one(make: Callable[[], Any], *shape: int, **keywords: Any) -> Case:
    return Case(lambda x: make()(x), (shape,), **keywords)


def merged(layer: type, **arguments: Any) -> Case:
    return Case(lambda *xs: layer(**arguments)(list(xs)), ((4,), (4,)))


def image(make: Callable[[], Any], **keywords: Any) -> Case:
    """A preprocessing layer on a small image of three colours between 0 and 1."""
    return one(make, 3, 3, 3, low=0.1, high=0.9, smooth=False, **keywords)


SCALE = {"value_range": (0.0, 1.0)}
POOLED = ((1, (4, 1), {}), (2, (3, 3, 1), {}), (3, (3, 2, 2, 1), {"single": True, "dtype": "float32"}))
ONCE = ("auto",)
CASES = {
    # Products with weights.
    "Dense": one(lambda: L.Dense(3, "tanh"), 4),
    "EinsumDense": one(lambda: L.EinsumDense("abc,cd->abd", (2, 3), "tanh", bias_axes="d"), 2, 3),
    "Conv1D": one(lambda: L.Conv1D(2, 2, activation="tanh"), 5, 2),
    "Conv1D/causal": one(lambda: L.Conv1D(2, 2, padding="causal", dilation_rate=2, activation="tanh"), 4, 2),
    "Conv2D": one(lambda: L.Conv2D(2, 2, strides=2, padding="same", activation="gelu"), 3, 3, 2),
    "Conv2D/groups": one(lambda: L.Conv2D(4, 2, groups=2, activation="tanh"), 3, 3, 4),
    "Conv3D": one(lambda: L.Conv3D(2, 2, activation="tanh"), 2, 3, 2, 1),
    "Conv1DTranspose": one(lambda: L.Conv1DTranspose(2, 3, strides=2, activation="tanh"), 3, 2),
    "Conv2DTranspose": one(lambda: L.Conv2DTranspose(2, 2, strides=2, padding="same", activation="tanh"), 2, 2, 2),
    "Conv3DTranspose": one(lambda: L.Conv3DTranspose(1, 2, activation="tanh"), 2, 2, 2, 1),
    "DepthwiseConv1D": one(lambda: L.DepthwiseConv1D(2, depth_multiplier=2, activation="tanh"), 4, 2),
    "DepthwiseConv2D": one(lambda: L.DepthwiseConv2D(2, activation="tanh"), 3, 3, 2),
    "SeparableConv1D": one(lambda: L.SeparableConv1D(2, 2, activation="tanh"), 4, 2),
    "SeparableConv2D": one(lambda: L.SeparableConv2D(2, 2, activation="tanh"), 3, 3, 2),
    "SpectralNormalization": one(lambda: L.SpectralNormalization(L.Dense(3, "tanh")), 4),
    # Recurrence, as a loop and unrolled.
    "SimpleRNN": one(lambda: L.SimpleRNN(2), 3, 2),
    "SimpleRNN/unrolled": one(lambda: L.SimpleRNN(2, unroll=True), 3, 2),
    "SimpleRNNCell": one(lambda: L.RNN(L.SimpleRNNCell(2)), 2, 2),
    "LSTM": one(lambda: L.LSTM(2), 3, 2),
    "LSTM/sequences": one(lambda: L.LSTM(2, return_sequences=True, go_backwards=True), 2, 2, modes=ONCE),
    "LSTM/unrolled": one(lambda: L.LSTM(2, unroll=True), 2, 2),
    "LSTM/states": one(lambda: L.LSTM(2, return_state=True), 2, 2, modes=ONCE),
    "LSTMCell": one(lambda: L.RNN(L.LSTMCell(2)), 2, 2, modes=ONCE),
    "GRU": one(lambda: L.GRU(2), 3, 2),
    "GRU/before": one(lambda: L.GRU(2, reset_after=False, return_sequences=True), 2, 2, modes=ONCE),
    "GRUCell": one(lambda: L.RNN(L.GRUCell(2)), 2, 2, modes=ONCE),
    "RNN": one(lambda: L.RNN([L.GRUCell(2), L.LSTMCell(2)]), 2, 2, modes=ONCE),
    "StackedRNNCells": one(lambda: L.RNN(L.StackedRNNCells([L.SimpleRNNCell(2), L.GRUCell(2)])), 2, 2, modes=ONCE),
    "Bidirectional": one(lambda: L.Bidirectional(L.LSTM(2, return_sequences=True)), 2, 2, modes=ONCE),
    "TimeDistributed": one(lambda: L.TimeDistributed(L.Dense(2, "tanh")), 3, 2),
    "ConvLSTM1D": one(lambda: L.ConvLSTM1D(1, 2), 2, 3, 1, modes=ONCE),
    "ConvLSTM2D": one(lambda: L.ConvLSTM2D(1, 2), 2, 2, 2, 1, modes=ONCE),
    "ConvLSTM3D": one(lambda: L.ConvLSTM3D(1, 2), 2, 2, 2, 2, 1, modes=ONCE),
    # Attention.
    "Attention": Case(lambda q, v: L.Attention()([q, v]), ((2, 3), (3, 3))),
    "AdditiveAttention": Case(lambda q, v: L.AdditiveAttention()([q, v]), ((2, 3), (3, 3))),
    "MultiHeadAttention": Case(lambda q, v: L.MultiHeadAttention(2, 2)(q, v), ((2, 2), (3, 2))),
    "MultiHeadAttention/causal": Case(
        lambda x: L.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True), ((3, 2),)),
    "GroupedQueryAttention": Case(lambda q, v: L.GroupQueryAttention(2, 4, 2)(q, v), ((2, 2), (2, 2))),
    # Normalization.
    "BatchNormalization": one(lambda: L.BatchNormalization(), 4),
    "LayerNormalization": one(lambda: L.LayerNormalization(), 4),
    "GroupNormalization": one(lambda: L.GroupNormalization(2), 2, 4),
    "RMSNormalization": one(lambda: L.RMSNormalization(), 4),
    "UnitNormalization": one(lambda: L.UnitNormalization(), 4),
    "Normalization": one(lambda: L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]), 3),
    "Rescaling": one(lambda: L.Rescaling(0.5, 1.0), 4),
    # Activation.
    "Activation": one(lambda: L.Activation("gelu"), 4),
    "ReLU": one(lambda: L.ReLU(max_value=0.9, negative_slope=0.1), 4),
    "LeakyReLU": one(lambda: L.LeakyReLU(), 4),
    "PReLU": one(lambda: L.PReLU(), 4),
    "ELU": one(lambda: L.ELU(), 4),
    "Softmax": one(lambda: L.Softmax(), 4),
    "Lambda": one(lambda: L.Lambda(keras.ops.sin), 4),
    "Identity": one(lambda: L.Identity(), 4),
    "Masking": one(lambda: L.Masking(), 3, 2),
    "ActivityRegularization": one(lambda: L.ActivityRegularization(0.1), 4),
    # Noise, which inference leaves out.
    **{name: one(lambda name=name: getattr(L, name)(0.5), *shape) for name, shape in {
        "Dropout": (4,), "AlphaDropout": (4,), "GaussianDropout": (4,), "GaussianNoise": (4,),
        "SpatialDropout1D": (2, 2), "SpatialDropout2D": (2, 2, 1), "SpatialDropout3D": (2, 2, 1, 1)}.items()},
    # Several inputs.
    **{name: merged(getattr(L, name)) for name in (
        "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")},
    "Dot": merged(L.Dot, axes=1),
    "Pipeline": one(lambda: L.Pipeline([L.Dense(3, "tanh"), L.Rescaling(2.0)]), 4),
    # Shapes.
    "Flatten": one(lambda: L.Flatten(), 2, 2),
    "Permute": one(lambda: L.Permute((2, 1)), 2, 3),
    "Reshape": one(lambda: L.Reshape((2, 3)), 6),
    "RepeatVector": one(lambda: L.RepeatVector(2), 3),
    **{f"Cropping{d}D": one(lambda d=d: getattr(L, f"Cropping{d}D")(1), *[3] * d, 1) for d in (1, 2, 3)},
    **{f"ZeroPadding{d}D": one(lambda d=d: getattr(L, f"ZeroPadding{d}D")(1), *[2] * d, 1) for d in (1, 2, 3)},
    # Pooling.
    **{f"{kind}Pooling{d}D": one(lambda kind=kind, d=d: getattr(L, f"{kind}Pooling{d}D")(2, 1), *shape, **options)
       for kind in ("Average", "Max") for d, shape, options in POOLED},
    **{f"Global{kind}Pooling{d}D": one(
        lambda kind=kind, d=d: getattr(L, f"Global{kind}Pooling{d}D")(), *[2] * d, 2)
       for kind in ("Average", "Max") for d in (1, 2, 3)},
    **{f"Adaptive{kind}Pooling{d}D": one(
        lambda kind=kind, d=d: getattr(L, f"Adaptive{kind}Pooling{d}D")(2), *shape, **options)
       for kind in ("Average", "Max") for d, shape, options in POOLED},
    # Resizing.
    "UpSampling1D": one(lambda: L.UpSampling1D(2), 2, 2),
    "UpSampling2D": one(lambda: L.UpSampling2D(2), 2, 2, 2),
    **{f"UpSampling2D/{i}": one(lambda i=i: L.UpSampling2D(2, interpolation=i), 2, 3, 1, single=True)
       for i in ("bilinear", "bicubic", "lanczos3")},
    "UpSampling3D": one(lambda: L.UpSampling3D(2), 2, 2, 1, 1),
    **{f"Resizing/{i}": one(lambda i=i: L.Resizing(3, 4, interpolation=i), 4, 3, 1, single=True)
       for i in ("nearest", "bilinear", "bicubic", "area", "lanczos3")},
    "Resizing/antialias": one(lambda: L.Resizing(2, 2, antialias=True), 4, 3, 1, single=True),
    "Resizing/crop": one(lambda: L.Resizing(2, 3, crop_to_aspect_ratio=True), 4, 3, 1, single=True),
    "CenterCrop": one(lambda: L.CenterCrop(2, 2), 4, 3, 1),
    "CenterCrop/larger": one(lambda: L.CenterCrop(5, 4), 3, 3, 1, single=True),
    # Sound.
    "STFTSpectrogram": one(lambda: L.STFTSpectrogram("magnitude", 4, 2, 4, padding="valid"), 8, 1),
    "MelSpectrogram": one(
        lambda: L.MelSpectrogram(
            fft_length=8, sequence_stride=4, num_mel_bins=2, sampling_rate=16, min_freq=1, max_freq=7),
        12, single=True, dtype="float32", low=0.1),
    # Augmentation, which inference leaves out or does without chance.
    "AugMix": image(lambda: L.AugMix(**SCALE)),
    "AutoContrast": image(lambda: L.AutoContrast(**SCALE)),
    "CutMix": image(lambda: L.CutMix()),
    "MixUp": image(lambda: L.MixUp()),
    "RandAugment": image(lambda: L.RandAugment(**SCALE)),
    "RandomBrightness": image(lambda: L.RandomBrightness(0.5, **SCALE)),
    "RandomColorDegeneration": image(lambda: L.RandomColorDegeneration(0.5, **SCALE)),
    "RandomColorJitter": image(lambda: L.RandomColorJitter(**SCALE)),
    "RandomContrast": image(lambda: L.RandomContrast(0.5, **SCALE)),
    "RandomCrop": image(lambda: L.RandomCrop(2, 2), single=True),
    "RandomElasticTransform": image(lambda: L.RandomElasticTransform(**SCALE), modes=ONCE),
    "RandomErasing": image(lambda: L.RandomErasing(**SCALE)),
    "RandomFlip": image(lambda: L.RandomFlip()),
    "RandomGaussianBlur": image(lambda: L.RandomGaussianBlur(**SCALE)),
    "RandomGrayscale": image(lambda: L.RandomGrayscale()),
    "RandomHue": image(lambda: L.RandomHue(0.5, **SCALE)),
    "RandomInvert": image(lambda: L.RandomInvert(**SCALE)),
    "RandomPerspective": image(lambda: L.RandomPerspective()),
    "RandomRotation": image(lambda: L.RandomRotation(0.1)),
    "RandomSaturation": image(lambda: L.RandomSaturation(0.5, **SCALE)),
    "RandomSharpness": image(lambda: L.RandomSharpness(0.5, **SCALE)),
    "RandomShear": image(lambda: L.RandomShear(0.1, 0.1)),
    "RandomTranslation": image(lambda: L.RandomTranslation(0.1, 0.1)),
    "RandomZoom": image(lambda: L.RandomZoom(0.1)),
    "Solarization": image(lambda: L.Solarization(**SCALE)),
}  # fmt: skip

WITHOUT = {
    "CategoryEncoding": "takes integers",
    "ContrastLimitedAdaptiveHistogramEqualization": "goes by the histogram: steps",
    "Discretization": "gives integers",
    "Embedding": "takes integers; by its result, see test_embedding",
    "Equalization": "goes by the histogram: steps",
    "FlaxLayer": "runs in JAX",
    "HashedCrossing": "takes text or integers",
    "Hashing": "takes text or integers",
    "InputLayer": "is part of every model here",
    "IntegerLookup": "takes integers",
    "JaxLayer": "runs in JAX",
    "Layer": "is abstract",
    "MaxNumBoundingBoxes": "changes boxes alone, and by counting them",
    "RandomPosterization": "cuts bits off: steps",
    "ReversibleEmbedding": "takes integers; by its result, see test_embedding",
    "StringLookup": "takes text",
    "TFSMLayer": "runs a SavedModel, whose derivatives are in test_load",
    "TextVectorization": "takes text",
    "TorchModuleWrapper": "runs in PyTorch",
    "Wrapper": "is abstract",
}
