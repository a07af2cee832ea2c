"""The vocabulary: pure data, no I/O. The same class stands on both ends of the wire; one file per noun."""
