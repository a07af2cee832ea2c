"""Writes the folders of deploy/kustomize anew: `.venv/bin/python scripts/kustomize.py`. A test fails while one is not
current."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "deploy" / "kustomize"


def main() -> None:
    from penstock.infrastructure.kubernetes.installation.kustomize import files

    for path, text in files().items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text)


if __name__ == "__main__":
    main()
