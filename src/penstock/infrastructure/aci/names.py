"""Names and ids of things at Azure. Pure."""

import ipaddress
import re

from penstock.blocks.extras import holds_reference

_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_GROUP = r"[\w.()-]{0,89}[\w()-]"
_ABOVE = rf"/subscriptions/{_GUID}/resourceGroups/{_GROUP}/providers/"
_SUBNET = re.compile(rf"{_ABOVE}Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+", re.IGNORECASE)
_IDENTITY = re.compile(rf"{_ABOVE}Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+", re.IGNORECASE)


def check_subscription(text: str) -> str:
    """`text` if it can be a subscription's id. Raises ValueError, which does not tell it: it is kept as a secret."""
    if holds_reference(text) or re.fullmatch(_GUID, text):
        return text
    raise ValueError("it has to look like 00000000-0000-0000-0000-000000000000.")


def check_group(name: str) -> str:
    """`name` if a resource group can be called so. Raises ValueError."""
    if holds_reference(name) or re.fullmatch(_GROUP, name):
        return name
    raise ValueError(
        f"resource_group_name is {name!r}; it has up to 90 letters, digits, '_', '-', '.' and parentheses, and does not "
        "end with a dot."
    )


def check_subnet(text: str) -> str:
    """`text` if it is a subnet's resource id. Raises ValueError."""
    if holds_reference(text) or _SUBNET.fullmatch(text):
        return text
    raise ValueError(
        f"{text!r} is no subnet's id; it has to look like /subscriptions/ID/resourceGroups/GROUP/providers/"
        "Microsoft.Network/virtualNetworks/NETWORK/subnets/SUBNET."
    )


def check_identity(text: str) -> str:
    """`text` if it is a user-assigned identity's resource id. Raises ValueError."""
    if holds_reference(text) or _IDENTITY.fullmatch(text):
        return text
    raise ValueError(
        f"{text!r} is no identity's id; it has to look like /subscriptions/ID/resourceGroups/GROUP/"
        "providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME."
    )


def check_address(text: str) -> str:
    """`text` if it is an IP address. Raises ValueError."""
    if not holds_reference(text):
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise ValueError(f"{text!r} is no IP address.") from None
    return text
