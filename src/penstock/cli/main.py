"""The console entry. What needs no command at all is answered before Click is imported."""

import io
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code: see `penstock help exit-codes`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _ready_streams()
    if arguments in ([], ["--help"], ["-h"], ["help"]):
        from penstock.cli.manifest import help_text

        return _write(help_text())
    if arguments in (["--version"], ["-v"], ["-V"]):
        from penstock.version import __version__

        return _write(f"{__version__}\n")
    from penstock.cli.root import run

    return run(arguments)


def _ready_streams() -> None:
    """Whoever has closed a stream wants nothing of it, and letters that the locale has not are no reason to fail."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does


def _write(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
