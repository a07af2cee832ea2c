"""One message, sent through the block that came with it."""

from penstock.blocks.http import hide
from penstock.blocks.notifications.base import secret_texts
from penstock.blocks.reading import read
from penstock.blocks.references import has_references
from penstock.blocks.typed import TypedBlock
from penstock.errors import ConfigurationError, DeliveryError, PenstockError
from penstock.model.notifications import DeliveryOrder, DeliveryOutcome


def deliver(order: DeliveryOrder, *, references: bool) -> DeliveryOutcome:
    """Send it; blocks the thread until the service has taken it, or will not. Never raises, and never tells a secret.

    `references`: whether texts in the block may stand for variables and files of this machine.
    """
    block: TypedBlock | None = None
    try:
        block = read(order.document)
        _notify(block, order, references)
    except Exception as error:
        # whatever a block of somebody else's raises is told to whoever looks at the policy
        return DeliveryOutcome(id=order.id, error=_words(error, block), retry_after=_asked_for(error))
    return DeliveryOutcome(id=order.id)


def _notify(block: TypedBlock, order: DeliveryOrder, references: bool) -> None:
    notify = getattr(block, "notify", None)
    if not callable(notify):
        raise ConfigurationError(f"{type(block).__name__} has no method notify.")
    if not references and has_references(block):
        raise ConfigurationError(
            "The block refers to variables or files of the machine that it is used on, which is the server's.",
            hint="Write the values into the block, or allow it on the server: PENSTOCK_NOTIFICATIONS_REFERENCES=true.",
        )
    notify(order.body, subject=order.subject)


def _words(error: Exception, block: TypedBlock | None) -> str:
    if isinstance(error, PenstockError):
        said = f"{error.message} {error.hint}" if error.hint else error.message
    else:
        said = f"{type(error).__name__}: {error}"
    return hide(said, secret_texts(block))


def _asked_for(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, DeliveryError) else None
