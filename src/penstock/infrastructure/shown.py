"""Requests as they may be shown: plain JSON, with a mask in place of every secret. Pure."""

from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from penstock.infrastructure.block import mask_if_secret
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import masked

#: What platforms call a mapping of variables.
_VARIABLES = ("env", "environment", "secret_env")


def shown(request: Any) -> Any:
    """`request` of any platform as JSON. Secrets, variables named like secrets and passwords in URLs are masked."""
    return masked(_plain(request))


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
