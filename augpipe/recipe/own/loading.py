"""Loading operations of one's own, once a process, and finding them again in the workers.

What a file or a package defines is known to the recipes that are read with it, and to no others. Code never travels
between processes, nor with a recipe: a worker loads the same file, and refuses it if it has changed.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType, ModuleType
from typing import Any

from pydantic.errors import PydanticUserError

from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import StrPath
from augpipe.core.plan import Step
from augpipe.pixels.steps.custom import functions
from augpipe.recipe.groups import GROUPS, POLICIES
from augpipe.recipe.operation.base import CUSTOM
from augpipe.recipe.operation.label_effects import LabelEffects
from augpipe.recipe.ops import OPERATIONS, Operation
from augpipe.recipe.own.pixel_function import PixelOperation, specification_of
from augpipe.recipe.own.source import PACKAGE, Code, read_code

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)
_LOADED: dict[str, OwnOperations] = {}  # by digest
_lock = threading.RLock()


@dataclass(frozen=True)
class OwnOperations:
    """The operations of one file or package; an :class:`augpipe.recipe.operation.base.Origin`.

    Attributes:
        name: of the file, or ``package:NAME``.
        digest: SHA-256 of the code.
        place: where another process finds it.
        file: as tracebacks have it.
        operations: name in a recipe → class.
    """

    name: str = field(compare=False)
    digest: str
    place: str = field(compare=False)
    file: str = field(compare=False)
    operations: Mapping[str, type[Operation]] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, str]:
        """As run.json has it."""
        return {"name": self.name, "digest": self.digest}

    def found_again(self, name: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See :class:`augpipe.recipe.operation.base.Origin`."""
        return _without_values, (self.place, self.digest, name)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _named_again, (self.place, self.digest, self.name)


def load_own(given: StrPath) -> OwnOperations:
    """The operations of a Python file, or of the installed package that ``package:NAME`` names.

    Raises:
        UsageError: the code is not there, fails, or defines no operations, or one of a name that there is.
    """
    code = read_code(given)
    with _lock:
        if code.digest not in _LOADED:
            _LOADED[code.digest] = _loaded(code)
        return replace(_LOADED[code.digest], name=code.name, place=code.place)


def load_all(given: Iterable[StrPath | OwnOperations]) -> tuple[OwnOperations, ...]:
    """Those of several files and packages, each once.

    Raises:
        UsageError: as :func:`load_own`, or two operations have one name.
    """
    if isinstance(given, str):
        raise UsageError(f"ops: expected a list of files, got the text {one_line(given, 80)!r}")
    every = tuple(dict.fromkeys(one if isinstance(one, OwnOperations) else load_own(one) for one in given))
    known: dict[str, OwnOperations] = {}
    for one in every:
        for name in one.operations:
            if (other := known.setdefault(name, one)) is not one:
                raise UsageError(f"two operations are called '{name}': in {other.name} and {one.name}; rename one")
    return every


def vocabulary(own: Iterable[OwnOperations]) -> Mapping[str, type[Operation]]:
    """Name → class of what a recipe can name that is read with these."""
    out = dict(OPERATIONS)
    for one in own:
        out.update(one.operations)
    return out


# --- in another process ----------------------------------------------------------------------------------------------


def _again(place: str, digest: str) -> OwnOperations:
    with _lock:
        own = _LOADED.get(digest) or load_own(place)
    if own.digest != digest:
        raise UsageError(
            f"{one_line(place, 4096)}: has changed since the run began; what is finished is kept\n"
            "bring the file of then back and run the same command to go on, or choose another DST"
        )
    return own


def _named_again(place: str, digest: str, name: str) -> OwnOperations:
    return replace(_again(place, digest), name=name, place=place)


def _without_values(place: str, digest: str, operation: str) -> Operation:
    kind = _again(place, digest).operations[operation]
    return kind.__new__(kind)


# --- loading ---------------------------------------------------------------------------------------------------------


def _loaded(code: Code) -> OwnOperations:
    with contextlib.redirect_stdout(sys.stderr):  # what a command prints is for programs
        module = _executed(code)
    own = OwnOperations(code.name, code.digest, code.place, module.__file__ or code.name)
    kinds = list(_defined(module, own))
    if strange := [kind.__name__ for kind in Step.__subclasses__() if kind.__module__ == module.__name__]:
        raise UsageError(f"{code.name}: {strange[0]} is a kind of step; operations are made of those that there are")
    if not kinds:
        raise UsageError(
            f"{code.name}: defines no operation; expected a class derived from augpipe.custom.Operation, "
            "or a function under @augpipe.custom.pixels"
        )
    operations: dict[str, type[Operation]] = {}
    for kind in kinds:
        name = kind.name()
        _require_sound(kind, code.name)
        if operations.setdefault(name, kind) is not kind:
            raise UsageError(f"{code.name}: two operations are called '{name}'; rename one")
    return OwnOperations(own.name, own.digest, own.place, own.file, MappingProxyType(operations))


def _executed(code: Code) -> ModuleType:
    """The module of some code.

    Raises:
        UsageError: the code fails; with the line that does.
    """
    name = f"augpipe_ops_{code.digest[:16]}"
    before = sys.modules.get(name)
    module = ModuleType(name)
    module.__file__ = code.place
    try:
        if code.place.startswith(PACKAGE):
            return importlib.import_module(code.module)
        sys.modules[name] = module  # where pydantic and pickle look names up
        exec(compile(code.text, code.place, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        if before is None:
            sys.modules.pop(name, None)
        raise UsageError(f"{code.name}{_line(error, code.place)}: {type(error).__name__}: {_said(error)}") from error
    return module


def _said(error: BaseException) -> str:
    return one_line(error.msg if isinstance(error, SyntaxError) else error, 300)


def _line(error: BaseException, file: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == file:
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f":{lines[-1]}" if lines else ""


def _defined(module: ModuleType, own: OwnOperations) -> Iterator[type[Operation]]:
    """The classes of operations that a module defines, and those made of its functions on pixels."""
    for name, value in vars(module).copy().items():
        if isinstance(value, type) and issubclass(value, Operation):
            # Of a class that is imported into it the module is another one; one with _ is a base of others.
            if value.__module__ == module.__name__ and not name.startswith("_"):
                value.origin = own
                yield value
        elif (specification := specification_of(value)) is not None:
            kind = specification.operation(own, own.digest)
            functions.register(kind.name(), own.digest, value, own.file)
            yield kind


def _require_sound(kind: type[Operation], file: str) -> None:
    """Raise for a class that is no operation, before a recipe meets it."""
    name = kind.name().removeprefix(CUSTOM)
    if not _NAME.fullmatch(name):
        shown = one_line(name, 80)
        raise UsageError(f"{file}: '{shown}' is no name of an operation; expected lower-case letters, digits and _")
    if name in OPERATIONS or name in GROUPS or name in POLICIES:
        raise UsageError(f"{file}: '{name}' is there already, it comes with augpipe; choose another name")
    if not isinstance(getattr(kind, "label_effects", None), LabelEffects):
        raise UsageError(f"{file}: {kind.__name__} needs label_effects, such as NOTHING for a change of color")
    if not isinstance(getattr(kind, "example", None), str):
        kind.example = kind.name()
    if kind.draw is Operation.draw:
        raise UsageError(f"{file}: {kind.__name__} needs draw(self, rng, canvas), which says what happens")
    try:
        kind.model_rebuild(force=True)
        if not issubclass(kind, PixelOperation):
            kind.model_json_schema()
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise UsageError(f"{file}: the parameters of {kind.__name__} make no sense: {one_line(first, 200)}") from error
