from penstock.errors import Invalid
from penstock.model.bundles import Bundle, BundleOffer, BundleOfferAnswer
from penstock.server.database.connection import Transaction
from penstock.server.database.statements import update_and_read
from penstock.server.database.tables import bundle
from penstock.server.operations.read_bundles import find_bundle


def offer_bundle(tx: Transaction, offer: BundleOffer, limit: int) -> BundleOfferAnswer:
    """Whether the server has that bundle; if so, it counts as used now, so that it is still there when it is deployed.

    Raises Invalid ``bundle_too_large`` (413) if it has more than `limit` bytes.
    """
    found = find_bundle(tx, offer.digest)
    if found is not None:
        row = update_and_read(tx, bundle, found.id, {"last_used": tx.now})
        return BundleOfferAnswer(bundle=Bundle.model_validate(row._mapping))
    if offer.size > limit:
        raise too_large(offer.size, limit)
    return BundleOfferAnswer()


def too_large(size: int, limit: int) -> Invalid:
    return Invalid(
        f"The bundle has {size / 1e6:,.0f} MB of files or more; this server takes {limit / 1e6:,.0f} MB at most.",
        code="bundle_too_large",
        hint="Leave what is no code behind with .penstockignore, or set PENSTOCK_BUNDLE_LIMIT_MB where the server runs.",
        status=413,
    )
