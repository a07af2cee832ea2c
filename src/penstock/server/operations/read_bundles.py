"""Read, list and fetch bundles, and who uses them."""

from collections import defaultdict
from uuid import UUID

import sqlalchemy as sa

from penstock.errors import NotFound, Refused
from penstock.model.bundles import BUNDLE_SLUG, Bundle, BundleDetails, BundleQuery, BundleUser
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.paging import Cut, Order, read_page
from penstock.server.operations.block_document_rows import read_json
from penstock.server.operations.check_attempt_credential import check_attempt_credential

_C = t.bundle.c
_NEWEST = Order(_C.id, _C.created, descending=True)
_BY_DIGEST = sa.select(t.bundle).where(_C.digest == sa.bindparam("digest"))
_PART = sa.select(t.bundle_part.c.content).where(
    t.bundle_part.c.bundle_id == sa.bindparam("bundle_id"), t.bundle_part.c.number == sa.bindparam("number")
)


def find_bundle(tx: Transaction, digest: str) -> Bundle | None:
    row = tx.execute(_BY_DIGEST, {"digest": digest}).one_or_none()
    return Bundle.model_validate(row._mapping) if row is not None else None


def read_bundle(tx: Transaction, digest: str) -> Bundle:
    """Raises NotFound."""
    found = find_bundle(tx, digest)
    if found is None:
        raise NotFound(
            f"There is no bundle {digest} on this server.",
            code="bundle_not_found",
            hint="It is sent when a deployment is applied: build and apply the deployment again.",
        )
    return found


def read_bundle_details(tx: Transaction, digest: str) -> BundleDetails:
    """The bundle with its users. Raises NotFound."""
    users = bundle_users(tx).get(digest, [])
    return BundleDetails(**read_bundle(tx, digest).model_dump(), deployments=users)


def read_bundles(tx: Transaction, query: BundleQuery) -> tuple[list[Bundle], str | None]:
    """A page of bundles, newest first, and the cursor of the next page if there may be one."""
    statement = sa.select(t.bundle)
    if query.digest_prefix:
        prefix = f"sha256:{query.digest_prefix.removeprefix('sha256:')}"
        statement = statement.where(_C.digest.startswith(prefix, autoescape=True))
    page = read_page(tx, statement, _NEWEST, Cut("CREATED_DESC", query.limit, query.offset, query.cursor))
    return [Bundle.model_validate(row._mapping) for row in page.rows], page.next_cursor


def read_bundle_part(tx: Transaction, bundle_id: UUID, number: int) -> bytes | None:
    """One part of an archive; None after the last one."""
    content = tx.execute(_PART, {"bundle_id": bundle_id, "number": number}).scalar_one_or_none()
    return bytes(content) if content is not None else None


def fetch_bundle(tx: Transaction, digest: str, attempt: tuple[UUID, str] | None) -> Bundle:
    """The bundle whose archive is about to be sent to the engine of `attempt`, or (None) to somebody who may have any.

    Raises Refused ``bundle_not_yours`` (403) if the attempt's run was not told to fetch that bundle, NotFound, and what
    `check_attempt_credential` raises.
    """
    if attempt is not None:
        check_attempt_credential(tx, *attempt)
        granted = sa.select(t.attempt.c.bundle_digest).where(t.attempt.c.id == attempt[0])
        if tx.execute(granted).scalar_one() != digest:
            raise Refused(
                f"The code of this run is not in the bundle {digest}: its token opens the bundle of its own deployment.",
                code="bundle_not_yours",
                hint="Another bundle needs the server's key.",
                status=403,
            )
    return read_bundle(tx, digest)


def bundle_users(tx: Transaction) -> dict[str, list[BundleUser]]:
    """Digest -> the deployments that use that bundle, by name."""
    document = t.block_document.c
    found = tx.execute(
        # as text: a document that somebody has damaged is nobody else's trouble
        sa.select(
            t.deployment.c.id,
            t.deployment.c.name,
            t.flow.c.name.label("flow_name"),
            sa.cast(document.data, sa.Text).label("text"),
        )
        .join(t.flow, t.flow.c.id == t.deployment.c.flow_id)
        .join(t.block_document, document.id == t.deployment.c.storage_document_id)
        .join(t.block_type, t.block_type.c.id == document.block_type_id)
        .where(t.block_type.c.slug == BUNDLE_SLUG)
        .order_by(t.flow.c.name, t.deployment.c.name)
    )
    users: dict[str, list[BundleUser]] = defaultdict(list)
    for row in found:
        if digest := _digest_in(row.text):
            users[digest].append(BundleUser(id=row.id, name=row.name, flow_name=row.flow_name))
    return dict(users)


def used_digests(tx: Transaction) -> set[str]:
    """The bundles that are needed: by documents, deployments' and others, and by attempts that are not over."""
    documents = tx.execute(
        sa.select(sa.cast(t.block_document.c.data, sa.Text))
        .join(t.block_type, t.block_type.c.id == t.block_document.c.block_type_id)
        .where(t.block_type.c.slug == BUNDLE_SLUG, _is_used())
    ).scalars()
    running = tx.execute(
        sa.select(t.attempt.c.bundle_digest)
        .where(t.attempt.c.ended_at.is_(None), t.attempt.c.bundle_digest.is_not(None))
        .distinct()
    ).scalars()
    return {digest for text in documents if (digest := _digest_in(text))} | set(running)


def _is_used() -> sa.ColumnElement[bool]:
    """For a query on `block_document`: whether somebody has named it, or a deployment refers to it."""
    in_deployment = sa.exists().where(t.deployment.c.storage_document_id == t.block_document.c.id)
    return sa.or_(t.block_document.c.is_anonymous.is_(False), in_deployment)


def _digest_in(text: str | None) -> str | None:
    data = read_json(text)
    digest = data.get("digest") if isinstance(data, dict) else None
    return digest if isinstance(digest, str) else None
