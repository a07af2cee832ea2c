"""Names of environment variables that jobs and those who start them share."""

FLOW_RUN_ID = "PENSTOCK__FLOW_RUN_ID"
ATTEMPT_ID = "PENSTOCK__ATTEMPT_ID"
ATTEMPT_TOKEN = "PENSTOCK__ATTEMPT_TOKEN"
#: Names a file that holds the token, where a platform can hand over files.
ATTEMPT_TOKEN_FILE = "PENSTOCK__ATTEMPT_TOKEN_FILE"
API_URL = "PENSTOCK_API_URL"
#: Variables with this prefix are Penstock's own, one job's alone: no other job inherits them.
INTERNAL_PREFIX = "PENSTOCK__"

#: Prefixes of variables that an interpreter, its dynamic linker or its C library reads once, when it starts.
READ_AT_START = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "GLIBC_", "LC_", "LANG")
