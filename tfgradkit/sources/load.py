"""``load``: a model from a file, a SavedModel folder, or ``package.module:attribute``."""

from __future__ import annotations

import importlib
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelFileError, SignatureError, SourceError, TfGradKitError, UnknownLayerError
from .saved_model_signature import from_saved_model
from .tf1 import from_frozen, from_meta

_ATTRIBUTE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# Keras finds a class by its registration alone. This module is known by name only: it may not be imported from here.
_LAYERS = f"{__package__.partition('.')[0]}.layers"
_FORMATS = ".keras, .h5, a SavedModel folder, a TensorFlow 1 .meta or frozen .pb, or package.module:attribute"
_GRAPHS: dict[str, Callable[[Path, Any], Any]] = {".meta": from_meta, ".pb": from_frozen}


def load(
    source: str | os.PathLike[str],
    *,
    signature: str | Mapping[str, str | Sequence[str]] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """A model from a file, a folder or a module, ready for every operator and exporter.

    Args:
        source: a ``.keras`` or ``.h5`` file, a SavedModel folder, a TensorFlow 1 ``.meta`` file with its
            checkpoint beside it, a frozen ``.pb`` file, or ``"package.module:attribute"``.
        signature: of a SavedModel, the key; its only one, or ``serving_default``, if None. Of a TensorFlow 1
            graph, its tensors: ``{"inputs": "THEINPUT:0", "outputs": "THEMODEL:0"}``, or lists of names.
        custom_objects: classes and functions that a Keras file names.

    Returns:
        A Keras model for a Keras file, the attribute itself, a ``Differentiable`` for the others: of a
        TensorFlow 1 graph it takes an argument for each input, and has a tuple of results where there are several
        outputs; it is batched where the first axis of inputs and outputs is unknown.

    Raises:
        ModelFileError: missing, truncated, foreign, or not readable; variables without values.
        SignatureError: no such signature, or tensors that a graph doesn't have.
        UnknownLayerError: the file names a class, function or op that isn't known, or holds Python code.
        SourceError: the attribute can't be imported.

    Example:
        >>> tgk.load("math:pi")
        3.141592653589793
    """
    text = os.fspath(source)
    path = Path(text)
    exists = bool(text) and _exists(path)
    if not exists and _ATTRIBUTE.fullmatch(text):
        return _attribute(text)
    if not exists:
        raise ModelFileError("there is no such model", subject=path, expected=_FORMATS, got="no such file or folder")
    if path.suffix in _GRAPHS and not path.is_dir():
        return _GRAPHS[path.suffix](path, signature)
    if isinstance(signature, Mapping):
        raise SignatureError(
            "tensors are named for TensorFlow 1 graphs alone",
            subject=path,
            expected="signature= a SavedModel's key, or none",
            got=repr(signature),
        )
    if path.is_dir():
        return from_saved_model(path, signature)
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return _keras(path, custom_objects)
    raise ModelFileError(
        "this kind of model file is not known", subject=path, expected=_FORMATS, got=path.suffix or "no file ending"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ModelFileError("the model can't be looked for", subject=path, got=error.strerror) from error


def _attribute(text: str) -> Any:
    module, _, attribute = text.partition(":")
    try:
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)
        value: Any = importlib.import_module(module)
        for name in attribute.split("."):
            value = getattr(value, name)
    except (Exception, SystemExit) as error:  # anything may happen in the import of a user's module
        raise SourceError(
            "the attribute can't be imported", subject=text, got=f"{type(error).__name__}: {error}"
        ) from error
    return value


def _keras(path: Path, custom_objects: Mapping[str, Any] | None) -> Any:
    _check_container(path)
    import keras

    importlib.import_module(_LAYERS)
    try:
        return keras.saving.load_model(path, custom_objects=dict(custom_objects or {}), compile=False)
    except TfGradKitError:
        raise
    except Exception as error:  # Keras passes on the errors of its layers, h5py and zipfile.
        raise _explained(path, error) from error


def _check_container(path: Path) -> None:
    """Checks that a ``.keras`` file is a zip with config.json in it, and an ``.h5`` file begins with HDF5's signature.

    Raises:
        ModelFileError: it isn't so.
    """
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
                missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
            if not damaged and not missing:
                return
            got = f"{damaged} is damaged" if damaged else f"a zip file without {', '.join(sorted(missing))}"
        else:
            with path.open("rb") as file:
                if file.read(8) == b"\x89HDF\r\n\x1a\n":
                    return
            got = "no HDF5 signature"
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError):
        got = f"{path.stat().st_size} bytes that are no whole zip file"
    except OSError as error:
        raise ModelFileError("the model file can't be read", subject=path, got=error.strerror) from error
    raise ModelFileError(
        "the model file is truncated or foreign",
        subject=path,
        expected=f"a {path.suffix} file as Keras saves it",
        got=got,
        hint="copy it again, or save it again with model.save(...)",
    )  # fmt: skip


def _explained(path: Path, error: Exception) -> TfGradKitError:
    for pattern, make in _MATCHES:
        if match := re.search(pattern, str(error)):
            return make(path, match.group(1))
    first = (str(error) or type(error).__name__).strip().split("\n", 1)[0]
    return ModelFileError(
        "Keras can't read the model file",
        subject=path,
        got=first[:500],
        hint="save the whole model again: model.save(...)",
    )


def _unknown(path: Path, name: str) -> TfGradKitError:
    return UnknownLayerError(
        "the model uses a class or function that isn't known here",
        subject=path,
        got=name,
        hint=f'load(path, custom_objects={{"{name}": {name}}}); or keras.saving.register_keras_serializable()({name})',
    )


def _code(path: Path, _: str) -> TfGradKitError:
    return UnknownLayerError(
        "the model holds Python code (a lambda), which is not run",
        subject=path,
        hint="replace the Lambda layer by a registered one; or load it with Keras yourself if you trust the file",
    )


_MATCHES: tuple[tuple[str, Callable[[Path, str], TfGradKitError]], ...] = (
    (r"Could not locate (?:class|function) '([^']+)'", _unknown),
    (r"Unknown (?:layer|object|activation function|[\w ]+): '?(\w+)'?", _unknown),
    (r"(lambda)", _code),
)
