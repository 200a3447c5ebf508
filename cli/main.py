"""The command line: parse, call the library, print. One file a command.

Nothing heavy is imported here or at the top of a command's file: ``augpipe --help`` answers at once. What begins a
process, :func:`main`, imports nothing at all before Ctrl-C can end it without a traceback.
"""

import gc
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from typer import Typer

# Loading libraries makes many objects that stay; looking for garbage among them takes a tenth of the time to start.
_OBJECTS_BEFORE_GARBAGE = 100_000
_HELP = "Preprocess and augment vision datasets offline, with labels that stay right."


def main() -> None:
    """Entry point of the ``augpipe`` command: the process ends with the code, or by the signal, that is the truth."""
    if sys.platform == "win32":
        sys.exit("augpipe does not run on Windows yet; it does in WSL")
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a command has begun there is nothing to tidy up
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, no process tells how it ended
    import atexit

    from . import interrupts, streams

    streams.make_safe()
    atexit.register(interrupts.end_as_asked)  # the first to be registered is the last to be called
    sys.exit(streams.settled(_code_of(sys.argv[1:])))


def _code_of(words: list[str]) -> int:
    try:
        _application()(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except (ImportError, OSError, MemoryError) as error:  # the command line itself does not load
        if "--debug" in words:
            raise
        print(f"augpipe: does not load: {type(error).__name__}: {error}", file=sys.stderr)
        print("         install it again, or give it more memory, descriptors and processes", file=sys.stderr)
        return 1
    return 0


@cache
def _application() -> "Typer":
    """All commands."""
    # NumPy's BLAS would start a thread a core, and a program without threads can fork (augpipe.core.parallel).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # No other package has a say in what a recipe means, and looking through all of them takes a while.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    gc.set_threshold(_OBJECTS_BEFORE_GARBAGE)
    import typer

    from augpipe import __version__

    from . import augment, convert, crops, dataset, doctor, inspect, plan, preview, recipes, replay, retry, tile, verify

    def tell_version(asked: bool) -> None:
        if asked:
            typer.echo(f"augpipe {__version__}")
            raise typer.Exit

    made = typer.Typer(
        name="augpipe",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=_HELP,
    )

    @made.callback()
    def top(
        version: Annotated[
            bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    for module in (augment, tile, crops, retry, convert, preview, plan, inspect, verify, replay, doctor):
        module.add_to(made)
    made.add_typer(dataset.app, name="dataset")
    made.add_typer(recipes.app, name="recipes")
    return made


def __getattr__(name: str) -> Any:
    """``app``, the commands as a Typer application, is made when it is first asked for."""
    if name == "app":
        return _application()
    raise AttributeError(name)
