"""Where flow code and results live."""
