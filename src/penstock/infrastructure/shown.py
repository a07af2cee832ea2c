"""Requests as they may be shown: plain JSON, with a mask in place of every secret. Pure."""

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from penstock.infrastructure.block import mask_if_secret
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import masked, names_a_secret

#: What platforms call a mapping of variables.
_VARIABLES = ("env", "environment", "secret_env")
#: What Docker calls a mapping of options, of a log or volume driver.
_OPTIONS = ("Config", "Options", "driver_options")
_OPTION = re.compile(r"(?P<name>[\w.-]+)=(?P<value>[^,]+)")


def shown(request: Any) -> Any:
    """`request` of any platform as JSON. Secrets, variables named like secrets and passwords in URLs are masked."""
    return masked(with_masked_options(_plain(request)))


def with_masked_options(value: Any) -> Any:
    """`value` with a mask in place of each option of a driver that is named like a secret, also of one among several in a
    text: ``username=me,password=…``."""
    if isinstance(value, list):
        return [with_masked_options(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: with_masked_options(item) for key, item in value.items()}
    for name in _OPTIONS:
        if isinstance(found.get(name), dict):
            found[name] = {key: _masked_option(key, item) for key, item in found[name].items()}
    return found


def _masked_option(name: str, value: Any) -> Any:
    if not isinstance(value, str) or names_a_secret(name):
        return mask_if_secret(name, value) if isinstance(value, str) else value
    return _OPTION.sub(lambda part: f"{part['name']}={mask_if_secret(part['name'], part['value'])}", value)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr | SecretBytes | Secret):
        return MASK
    if isinstance(value, BaseModel):
        return _plain({name: getattr(value, name) for name in type(value).model_fields})
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, dict):
        plain = {str(key): _plain(item) for key, item in value.items()}
        for name in _VARIABLES:
            if isinstance(plain.get(name), dict):
                plain[name] = {key: mask_if_secret(key, item) for key, item in plain[name].items()}
        return plain
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value)
    return str(value) if isinstance(value, UUID | PurePath) else value
