"""The `rfm` command."""

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType

from experiments.commands import parsing
from experiments.output import manual, provenance

# arguments of Python that a command calls otherwise
OPTION_OF = {
    "num_features": "features", "num_samples": "samples", "noise_var": "noise", "num_modes": "modes", "keys": "seeds",
    "count": "processes", "index": "process",
    "start": "times START", "stop": "times STOP", "num": "times NUM", "NAME": "names", "FILE": "file",
}  # fmt: skip
ARGUMENTS_IN_TEXTS = ("num_features", "num_samples", "noise_var", "num_modes")
MAY_BE_EMPTY = ("names", "units")
POSITIONAL = {"file": "FILE", "names": "NAME"}


def main(argv: list[str] | None = None) -> int:
    """Run one command; wrong input is one line on stderr and exit code 2."""
    # many small eigensystems: threads of BLAS cost more than they save, and turn round and round while they wait
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with _interruptible():
        return _run(argv)


def _run(argv: list[str] | None) -> int:
    command, args = "rfm", argparse.Namespace()
    given = sys.argv[1:] if argv is None else argv
    if given in ([], ["-h"], ["--help"], ["help"]):
        print(manual.overview(parsing.COMMANDS))
        return 0
    try:
        args = parsing.parse(given)
        command = f"rfm {args.command}"
        if args.command == "rerun":
            return _run(parsing.command("rerun").command_line(args))
        provenance.begin(given)
        for name, value in vars(args).items():
            if value == [] and name not in MAY_BE_EMPTY:  # argparse makes it of `--name=--`
                raise ValueError(f"--{name.replace('_', '-')} must be given a value.")
        import jax

        from rfm import cache_compilations, checks
        from rfm.compilations import compile_quickly

        compile_quickly()
        jax.config.update("jax_enable_x64", True)
        _check_platform()
        with contextlib.suppress(ValueError, OSError, RuntimeError):  # no folder that is safe: every call compiles
            cache_compilations()
        if getattr(args, "seeds", None) is not None:
            checks.number("seeds", args.seeds, 2, "an integer >= 2 (standard errors are over seeds)", inclusive=True)
            if args.seeds > checks.MOST_SEEDS:
                checks.fail("seeds", f"at most {checks.MOST_SEEDS:,}", args.seeds)
        if getattr(args, "seed", None) is not None and not 0 <= args.seed < 2**32:
            checks.fail("seed", "an integer from 0 to 2^32 - 1", args.seed)
        with _warnings_in_a_line(command):
            parsing.command(args.command).run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe; what is printed is on disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, ImportError, OSError, MemoryError) as error:
        print(f"{command}: error: {as_typed(error, args)}", file=sys.stderr, flush=True)
        import jax

        if jax.distributed.is_initialized():
            os._exit(2)  # at its end JAX would wait for the other processes, or for one that was lost
        return 2
    return 0


def _check_platform() -> None:
    """Refuse an accelerator that is asked for and not there; JAX would fail at the first array."""
    import jax

    asked = os.environ.get("JAX_PLATFORMS", "")
    if asked and "cpu" not in asked.split(","):
        try:
            jax.local_devices()
        except (RuntimeError, AssertionError) as error:
            reason = f" ({error})" if str(error) else ""
            raise ValueError(f"JAX_PLATFORMS={asked}, but JAX has no such device here{reason}.") from error


@contextlib.contextmanager
def _warnings_in_a_line(command: str) -> Iterator[None]:
    """Warnings name the command, not a line of the code."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_: f"{command}: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once, with all that it has started.

    As an exception it is lost where it falls into an import that catches all, or a callback of garbage collection,
    and taking the interpreter down under computing threads can crash it.
    """

    from experiments.output import children

    def stop(signum: int, frame: FrameType | None) -> None:
        os.write(2, b"\nrfm: stopping, " + (b"interrupted\n" if signum == signal.SIGINT else b"terminated\n"))
        children.end()
        os._exit(128 + signum)

    def watch(signals: int) -> None:
        while numbers := os.read(signals, 1):
            if signal.getsignal(numbers[0]) is stop:  # a command may have its own way to stop
                stop(numbers[0], None)
        os.close(signals)

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    # the main thread hears of a signal when XLA has given it back, after seconds; a thread that waits hears it at once
    heard, written = os.pipe()
    os.set_blocking(written, False)
    threading.Thread(target=watch, args=(heard,), daemon=True).start()
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    usual_end = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    children.follow_parent()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, usual_end)
        signal.set_wakeup_fd(before)
        os.close(written)


def as_typed(error: Exception, args: argparse.Namespace) -> str:
    """Return an error in one line that names options as they are typed, not the arguments that they set."""
    names = {name: _option(name, args) for name in (*OPTION_OF, *vars(args))}
    typed = {name: option for name, option in names.items() if option is not None}
    text, sentence = str(error) or type(error).__name__, getattr(error, "sentence", None)
    if sentence is not None:  # an ArgumentError of `rfm.checks`
        name, _, part = getattr(error, "name", "").partition(" ")  # "fix a" is a part of an option
        option = typed.get(name.replace("-", "_"))
        text = sentence(f"Argument `{error.args[0]}`" if option is None else f"{option} {part}".strip())
        text = re.sub(r"`(\w+)`", lambda match: typed.get(match[1], match[0]), text)  # others that it speaks of
    else:  # the sentence of a file that is missing
        text = re.sub(r"^Argument `(\w+)`", lambda match: typed.get(match[1], match[0]), text)
    for name in ARGUMENTS_IN_TEXTS:
        if name in typed:
            text = re.sub(rf"`?\b{name}\b`?", typed[name], text)
    text = re.sub(r", or None for infinitely many", "", text.replace("jnp.inf", "inf"))
    return " ".join(text.split())


def _option(name: str, args: argparse.Namespace) -> str | None:
    """Return how an argument of Python is given to the command, None where it cannot be."""
    both = name in ("num_features", "num_samples") and getattr(args, "command", "") == "double-descent"
    known = name if hasattr(args, name) else OPTION_OF.get(name, name)
    option, _, rest = ("size" if both else known).partition(" ")
    if not hasattr(args, option.replace("-", "_")) or option == "command":
        return None
    return (
        POSITIONAL[option] if option in POSITIONAL else " ".join(filter(None, ("--" + option.replace("_", "-"), rest)))
    )


if __name__ == "__main__":
    sys.exit(main())
