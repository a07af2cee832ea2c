"""The token of the attempt whose job this process is: given as a variable, or in a file where platforms hand over files."""

from collections.abc import Mapping

from penstock.errors import ConfigurationError

ATTEMPT_TOKEN = "PENSTOCK__ATTEMPT_TOKEN"
ATTEMPT_TOKEN_FILE = "PENSTOCK__ATTEMPT_TOKEN_FILE"
#: Bytes; a token is far shorter, and what is longer is another file.
_LONGEST = 4096


def token_of_job(environ: Mapping[str, str]) -> str | None:
    """The token that `environ` holds, or the file that it names; None if it says neither.

    Raises ConfigurationError, which names the file and never tells what is in it, if there is no token in it.
    """
    token = environ.get(ATTEMPT_TOKEN)
    path = environ.get(ATTEMPT_TOKEN_FILE)
    if token or not path:
        return token or None
    try:
        with open(path, "rb") as file:
            found = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The attempt's token cannot be read from {path} ({ATTEMPT_TOKEN_FILE}): {error.strerror or error}",
            hint="It is put there when the job is made, and has to be readable for the user that the job runs as.",
        ) from None
    try:
        text = found.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(found) > _LONGEST or not text.isprintable():
        raise ConfigurationError(f"{path} ({ATTEMPT_TOKEN_FILE}) holds no token of an attempt")
    return text
