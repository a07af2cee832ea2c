"""What of a project goes into a bundle unless somebody says otherwise. Pure but for reading ignore files."""

import re
from pathlib import Path

from penstock.errors import ConfigurationError
from penstock.storage.folders import ignore_file_of
from penstock.storage.ignore import ALWAYS_IGNORED, IGNORE_FILES, Ignore

#: Where neither ignore file lies in the folder: what tools leave behind, and what is known to hold secrets.
DEFAULT_IGNORED = (
    "*.py[cod]", "*.egg-info/", "*.egg", ".eggs/", ".hg/", ".svn/", ".venv", "venv/", "env/", ".env", ".env.*", "!.env.example",
    "!.env.sample", "!.env.template", ".envrc", ".python-version", ".tox/", ".nox/", ".mypy_cache/", ".ruff_cache/",
    ".pytest_cache/", ".hypothesis/", ".coverage", "htmlcov/", ".ipynb_checkpoints/", ".idea/", ".vscode/", ".DS_Store",
    "node_modules/", "dask-worker-space/", ".penstock/",
)  # fmt: skip
#: A file of this name in a folder makes it a virtual environment, whatever it is called.
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
_GIT = ".gitignore"
#: Left behind whatever the ignore files say.
_ALWAYS = (*ALWAYS_IGNORED, ".git", *IGNORE_FILES)


class Rules:
    """What stays behind of one folder and those below it. `into` gives the rules of a folder within.

    `above`: the path of the project in its git repository, with a slash at its end, which the lines begin with.
    """

    def __init__(self, lines: tuple[str, ...], follow_git: bool, above: str = "") -> None:
        self._lines, self._follow_git, self._above = lines, follow_git, above
        self._ignore = Ignore(lines)

    def ignores(self, path: str, is_folder: bool) -> bool:
        """Whether `path`, relative to the project and with ``/``, stays behind."""
        return self._ignore.ignores(self._above + path, is_folder)

    def into(self, folder: Path, path: str, names: set[str]) -> "Rules":
        """The rules within `folder`, which has the relative `path` and holds `names`."""
        if not self._follow_git or _GIT not in names:
            return self
        lines = (_placed(line, self._above + path) for line in _read(folder / _GIT))
        return Rules((*self._lines, *lines, *_ALWAYS), True, self._above)


def rules_of(folder: Path, ignore_file: Path | None = None) -> Rules:
    """The rules of a project: `ignore_file`, else ``.penstockignore`` or ``.prefectignore`` in it, else what tools leave
    behind and every ``.gitignore`` names, those of the repository around the project included.

    Raises ConfigurationError if a file cannot be read.
    """
    found = ignore_file or ignore_file_of(folder)
    if found is not None:
        return Rules((*_read(found), *_ALWAYS), follow_git=False)
    around = _folders_around(folder)
    above = f"{folder.relative_to(around[0]).as_posix()}/" if around else ""
    lines: list[str] = []
    for place in (*around, folder):
        if (place / _GIT).is_file():
            path = place.relative_to(around[0]).as_posix() if around else ""
            lines += [_placed(line, "" if path == "." else path) for line in _read(place / _GIT)]
    if above and Ignore(lines).ignores(above.rstrip("/"), is_folder=True):
        # the repository wants nothing of the project, whoever builds it does
        return Rules((*DEFAULT_IGNORED, *_ALWAYS), follow_git=True)
    return Rules((*DEFAULT_IGNORED, *lines, *_ALWAYS), follow_git=True, above=above)


def _folders_around(folder: Path) -> list[Path]:
    """The folders around `folder` that belong to the same git repository, its top first; none if that is `folder`."""
    if (folder / ".git").exists():
        return []
    parents = list(folder.parents)
    top = next((number for number, parent in enumerate(parents) if (parent / ".git").exists()), None)
    return [] if top is None else parents[top::-1]


def is_environment(names: set[str]) -> bool:
    """Whether a folder that holds these names is a virtual environment."""
    return any(name in names for name in _ENVIRONMENT)


def _read(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The ignore file {file} cannot be read: {getattr(error, 'strerror', None) or error}.", code="ignore_file"
        ) from None


def _placed(line: str, path: str) -> str:
    """A line of the .gitignore in the folder `path` as it would be written at the top of the project."""
    text = line.rstrip("\r\n")
    if not path or not text.strip() or text.startswith("#"):
        return text
    keeps, text = ("!", text[1:]) if text.startswith("!") else ("", text)
    place = re.sub(r"([\\*?\[\]])", r"\\\1", path)
    anchored = "/" in text.rstrip().rstrip("/")
    return f"{keeps}/{place}/{text.lstrip('/')}" if anchored else f"{keeps}/{place}/**/{text}"
