"""Seal the secrets of block documents anew under the newest key, some documents at a time; drop keys that seal nothing.

Each step is a transaction and what it has sealed needs no second visit, so that a rotation that was killed goes on when it is asked
for again. Documents that are saved meanwhile are sealed with the newest key by whoever saves them.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from penstock.errors import Invalid, NotFound, Refused
from penstock.model import block_fields
from penstock.model.block_keys import DroppedKeys, KeyRotation, KeyRotationStep
from penstock.server import key_sources, keys
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.operations.block_document_rows import (
    DamagedBlock,
    StoredDocument,
    close_data,
    hold_keys,
    read_json,
    read_stored,
    select_documents,
    unseal_row,
)
from penstock.server.operations.create_block_document import read_fields
from penstock.server.rules import block_secrets

_DOCUMENT = t.block_document.c


def rotate_block_keys(tx: Transaction, asked: KeyRotation) -> KeyRotationStep:
    """One step. What older versions stored in clear and is a secret by today's rules is sealed on the way."""
    made = False
    begins = asked.new_key and asked.cursor is None
    if begins and key_sources.is_file() and not _count_under_old_keys(tx):
        keys.rotate()
        made = True
    hold_keys(tx)
    # what is saved by others meanwhile is theirs to seal: a row that is gone from under us is passed over
    mine = sa.select(_DOCUMENT.id).order_by(_DOCUMENT.id).limit(asked.limit).with_for_update()
    if asked.cursor is not None:
        mine = mine.where(_DOCUMENT.id > asked.cursor)
    ids = list(tx.execute(mine).scalars())
    rows = [
        read_stored(row) for row in tx.execute(select_documents().where(_DOCUMENT.id.in_(ids)).order_by(_DOCUMENT.id))
    ]
    sealed, failed = 0, []
    for row in rows:
        try:
            sealed += _seal_anew(tx, row)
        except DamagedBlock as error:
            failed.append(error.message)
    return KeyRotationStep(
        key=keys.front(),
        made=made,
        sealed=sealed,
        failed=failed,
        remaining=_count_under_old_keys(tx),
        cursor=ids[-1] if len(ids) == asked.limit else None,
    )


def drop_old_keys(tx: Transaction) -> DroppedKeys:
    """Take the keys out of the file that seal no document, all but the newest.

    Raises Refused, naming what they may be removed from, if the keys are in no file.
    """
    hold_keys(tx, alone=True)
    ring = [key_id for key_id, _ in keys.load().ring]
    used = set(_used_keys(tx))
    unused = [key_id for key_id in ring[1:] if key_id not in used]
    if unused and not key_sources.is_file():
        raise Refused(
            f"The keys are in {key_sources.describe()}, which only you can change. No document needs: {', '.join(unused)}.",
            code="keys_not_in_file",
            hint="An id is the beginning of the key's SHA-256. Remove these keys there and restart the servers.",
        )
    if unused:
        keys.drop(frozenset(unused))
    return DroppedKeys(dropped=unused, kept=[key_id for key_id in ring if key_id not in unused])


def _seal_anew(tx: Transaction, row: StoredDocument) -> bool:
    for problem in row.problems:
        raise row.damaged(problem)
    secret_fields = _secret_fields(tx, row)
    if row.sealed is None or row.sealed["key"] == keys.front():
        _, secrets = block_secrets.take_out(row.data, secret_fields)
        if not secrets:
            return False
    whole = [place for place in row.places if block_secrets.find(row.data, place) is None]
    data = block_secrets.put_back(row.data, unseal_row(row))
    values = close_data(tx, data, secret_fields, also=whole)
    tx.execute(t.block_document.update().where(_DOCUMENT.id == row.id).values(values))
    return True


def _secret_fields(tx: Transaction, row: StoredDocument) -> list[str]:
    try:
        return block_fields.secret_fields(read_fields(tx, row.block_schema_id, row.block_type_id))
    except (NotFound, Invalid, DamagedBlock):
        return []  # what is sealed stays sealed; the list of documents says that the schema is gone


def _count_under_old_keys(tx: Transaction) -> int:
    front = keys.front()
    return sum(1 for key in _used_keys(tx) if key != front)


def _used_keys(tx: Transaction) -> Iterator[str]:
    """The id of the key of every sealed document."""
    for text in tx.execute(
        sa.select(sa.cast(_DOCUMENT.sealed, sa.Text)).where(_DOCUMENT.sealed.is_not(None))
    ).scalars():
        sealed = read_json(text)
        if isinstance(sealed, dict) and isinstance(sealed.get("key"), str):
            yield sealed["key"]
