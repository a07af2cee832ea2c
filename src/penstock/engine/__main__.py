"""`python -m penstock.engine`: runs the flow run that the environment names. See `penstock.engine.job`."""

import sys

from penstock.engine.job import main

if __name__ == "__main__":
    sys.exit(main())
