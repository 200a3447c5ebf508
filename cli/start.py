"""Where the ``augpipe`` command begins: from its first line on Ctrl-C ends the process, without a traceback.

Only the installed command imports this file, since that line is for a whole process; programs that use the commands in
their own process import ``augpipe.cli.main``. ``_signal`` is a part of the interpreter, so no file is read before.
"""

import _signal

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not where a shell has it ignored
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until a command has begun there is nothing to tidy up


def main() -> None:
    """Entry point of the ``augpipe`` command; see ``main`` in ``main.py``."""
    from .main import main as command

    command()
