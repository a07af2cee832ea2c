"""`penstock block rotate-keys`: a new key for the secrets of blocks."""

import click

from penstock.cli import output
from penstock.cli.connection import connect
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import PenstockError

_COLUMNS = [Column(name, name) for name in ("key", "sealed", "failed", "dropped")]


@command("rotate-keys")
@click.option("--drop-old", is_flag=True, help="Forget the older keys in the end, as far as nothing needs them.")
@click.option("--batch", type=click.IntRange(1, 1000), default=200, show_default=True, help="Blocks per request.")
def rotate_keys(drop_old: bool, batch: int) -> None:
    """Seal the secrets of all blocks anew with a new key.

    A rotation that was interrupted is finished with the key that it made. Where the server's keys are in no file, it
    seals with the key that you have put first.
    """
    from penstock.client import block_keys

    session = current()
    sealed, failed, dropped = 0, [], []
    with connect() as connection:
        step = connection.send(block_keys.rotate_block_keys(new_key=True, limit=batch))
        session.say(f"{'New key' if step.made else 'Key'} {step.key}.")
        while True:
            sealed += step.sealed
            failed += step.failed
            if step.cursor is None:
                break
            session.say(f"{sealed} blocks sealed, {step.remaining} to go.")
            step = connection.send(block_keys.rotate_block_keys(cursor=step.cursor, limit=batch))
        if drop_old:
            dropped = connection.send(block_keys.drop_old_block_keys()).dropped
    row = {"key": step.key, "sealed": sealed, "failed": failed, "dropped": dropped}
    gone = f"; keys dropped: {', '.join(dropped) or 'none'}" if drop_old else ""
    output.done(
        session, f"{sealed} blocks sealed with key {step.key}{gone}.", row, _COLUMNS, lambda row: str(row["key"])
    )
    if failed:
        raise PenstockError(
            f"{len(failed)} blocks could not be sealed anew: {'; '.join(failed)}",
            code="keys_not_rotated",
            hint="They stay as they are, and their keys are kept. Save them anew or delete them, then rotate again.",
        )
