import argparse
import sys
from collections.abc import Sequence

from bench import block_figures, bundle_figures, container_figures, log_figures, schedule_figures, task_figures
from bench import peer as peers
from bench.figures import FIGURES as OF_ONE_RUN
from bench.measure import machine

FIGURES = (
    OF_ONE_RUN
    | task_figures.FIGURES
    | log_figures.FIGURES
    | block_figures.FIGURES
    | bundle_figures.FIGURES
    | schedule_figures.FIGURES
    | container_figures.FIGURES
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"what to measure: {', '.join(FIGURES)}; default all"
    )
    parser.add_argument(
        "--peer",
        default="prefect==2.20.25 anyio==4.4.0",
        help="what to measure beside it, from PyPI; 'none' for nothing",
    )
    parser.add_argument("--runs", type=int, default=1_000_000, help="runs in the database of `lists`")
    parser.add_argument("--image", help="image of `containers`; by default the project's own of this version")
    parser.add_argument("--profile", action="store_true", help="add where the time goes")
    options = parser.parse_args(argv)
    for name in options.figures:
        if name not in FIGURES:
            parser.error(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    peer = None if options.peer == "none" else peers.install(options.peer)
    print(machine())
    over = 0
    for name in options.figures or FIGURES:
        extra = {"lists": {"runs": options.runs}, "containers": {"image": options.image}}.get(name, {})
        for figure in FIGURES[name](peer, **extra):
            print(figure.line(), flush=True)
            over += figure.within is False
    if options.profile:
        from bench.profile import report

        report()
    if over:
        print(f"{over} over budget", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
