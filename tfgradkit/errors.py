"""The exceptions of tfgradkit, one tree.

TfGradKitError
├── SourceError               what was given can't be read or used as a function
│   ├── ModelFileError        a model file is missing, truncated, foreign or not readable
│   └── UnknownLayerError     a model file names a layer or function that isn't known here
├── SignatureError            an argument has the wrong number, name, shape or dtype
├── GradientError             the derivative asked for does not exist
│   ├── VerificationError     a derivative differs from the product that it is compared with
│   └── RuleError             a gradient rule can't be registered, or gave what doesn't fit its op
├── ExternalError             code outside TensorFlow failed, or can't be used there
├── ConvergenceError          an implicit function has no root where it was looked for
├── GraphError                a graph can't be frozen or simplified
├── ExportError               an export failed; nothing was left behind
│   ├── UnsupportedModelError a layer or op can't be exported; said before compiling
│   ├── CompilerError         the graph compiler failed
│   ├── ToolchainError        no C compiler, or it failed
│   ├── OutputFolderError     the output folder can't be used
│   └── OutputFileError       the output file can't be used
├── LibraryError              a compiled library can't be loaded or called
│   └── ChecksumError         a file of the library was changed, or is missing
└── VersionError              a dependency is missing, or has a version that is not supported

Every message says what failed, on which thing, what was expected, what came, what to try, and where to
read on. The same facts are attributes of the exception: ``subject``, ``expected``, ``got``, ``hint``, ``read_on``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = [
    "ChecksumError",
    "CompilerError",
    "ConvergenceError",
    "ExportError",
    "ExternalError",
    "GradientError",
    "GraphError",
    "LibraryError",
    "ModelFileError",
    "OutputFileError",
    "OutputFolderError",
    "RuleError",
    "SignatureError",
    "SourceError",
    "TfGradKitError",
    "ToolchainError",
    "UnknownLayerError",
    "UnsupportedModelError",
    "VerificationError",
    "VersionError",
]

PAGE = "docs/errors.md"
"""The page with a section for each class here. Set it to an address where your users have the page elsewhere."""

# Keras makes a new exception of the same class, whose text holds the first one's.
_READ_ON = re.compile(r"\nRead on: [^\s\x1b]+")


class TfGradKitError(Exception):
    """Base of all exceptions that tfgradkit raises on purpose.

    Args:
        what: what failed, one sentence without a full stop.
        subject: the thing it failed on (a file, a layer, an argument).
        expected: what was expected.
        got: what came instead.
        hint: what to try.
    """

    # Out of a tf.function AutoGraph would raise another exception in place of one with such an __init__.
    ag_pass_through = True

    def __init__(
        self,
        what: str,
        *,
        subject: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.subject = subject
        self.expected = expected
        self.got = got
        self.hint = hint
        super().__init__(self._message())

    def _message(self) -> str:
        head = self.what if self.subject is None else f"{self.what}: {self.subject}"
        text = "\n".join([head, *(f"  {name}: {fact}" for name, fact in self._facts() if fact is not None)])
        return f"{_READ_ON.sub('', text)}\nRead on: {self.read_on}"

    def _facts(self) -> Iterator[tuple[str, object]]:
        yield from (("expected", self.expected), ("got", self.got), ("try", self.hint))

    @property
    def read_on(self) -> str:
        """The page of the documentation, and the section there, about this kind of error."""
        known = next(cls.__name__ for cls in type(self).__mro__ if cls.__module__ == __name__)
        return f"{PAGE}#{known.lower()}"

    def __reduce__(self) -> tuple[object, ...]:
        # A pool of processes sends its workers' exceptions home; the keywords must survive.
        return _rebuild, (type(self), self.what, {k: v for k, v in vars(self).items() if k != "what"})


def _rebuild(cls: type[TfGradKitError], what: str, facts: dict[str, object]) -> TfGradKitError:
    error = cls.__new__(cls)
    vars(error).update(facts, what=what)
    Exception.__init__(error, error._message())
    return error


class SourceError(TfGradKitError):
    """What was given can't be read or used as a function."""


class ModelFileError(SourceError):
    """A model file is missing, truncated, foreign or not readable."""


class UnknownLayerError(SourceError):
    """A model file names a layer or function that isn't known here."""


class SignatureError(TfGradKitError, ValueError):
    """An argument has the wrong number, name, shape or dtype."""


class GradientError(TfGradKitError):
    """The derivative asked for does not exist."""


class ExternalError(TfGradKitError):
    """Code outside TensorFlow failed, returned what doesn't fit, or can't be used there."""


class ConvergenceError(TfGradKitError):
    """An implicit function has no root where it was looked for.

    Args:
        sample: the first sample without a root; None where there is no batch.
        norm: the largest element of the residual there, in magnitude.
        step: the last Newton step, relative to the unknown.
        iterations: the number of steps that were taken.
        keywords: as of every exception here.
    """

    def __init__(
        self,
        what: str,
        *,
        sample: int | None = None,
        norm: float = float("nan"),
        step: float = float("nan"),
        iterations: int = 0,
        **keywords: Any,
    ) -> None:
        super().__init__(what, **keywords)
        self.sample = sample
        self.norm = norm
        self.step = step
        self.iterations = iterations


class VerificationError(GradientError):
    """A derivative differs from the plain product, or from the differences, that it is compared with.

    Args:
        error: by how much, relative to the larger of the two.
        op: the type of the first op whose derivative is wrong by itself; None where none is found.
        name: its name in the graph.
        where: "file.py:LINE" of the user's code that calls it; None where that isn't known.
        keywords: as of every exception here.
    """

    def __init__(
        self,
        what: str,
        *,
        error: float = float("nan"),
        op: str | None = None,
        name: str | None = None,
        where: str | None = None,
        **keywords: Any,
    ) -> None:
        self.error = error
        self.op = op
        self.name = name
        self.where = where
        super().__init__(what, **keywords)

    def _facts(self) -> Iterator[tuple[str, object]]:
        if self.op is not None:
            yield "begins at", f"op {self.op}, {self.where or self.name}"
        yield from super()._facts()


class RuleError(GradientError):
    """A gradient rule can't be registered, or gave what doesn't fit its op."""


class GraphError(TfGradKitError):
    """A graph can't be frozen or simplified, or is not the same afterwards."""


class ExportError(TfGradKitError):
    """An export failed; nothing was left behind."""


class UnsupportedModelError(ExportError):
    """A layer or an op can't be exported; said before anything is compiled.

    ``layers`` and ``ops`` hold the names, pairwise.
    """

    layers: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()


class CompilerError(ExportError):
    """The graph compiler failed."""


class ToolchainError(ExportError):
    """There is no C compiler, or it failed."""


class OutputFolderError(ExportError):
    """The output folder exists, isn't empty, or can't be written."""


class OutputFileError(ExportError):
    """The output file exists, or can't be written."""


class LibraryError(TfGradKitError):
    """A compiled library can't be loaded or called."""


class ChecksumError(LibraryError):
    """A file of a compiled library was changed, or is missing."""


class VersionError(TfGradKitError):
    """A dependency is missing, or has a version that is not supported."""


class BatchWarning(UserWarning):
    """Nobody knows whether the samples of a batch influence each other: neither the graph nor a probe could tell."""
