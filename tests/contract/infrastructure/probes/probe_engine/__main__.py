import sys

from probe_engine.job import main

if __name__ == "__main__":
    sys.exit(main())
