"""Storage in shares of Windows and Samba servers. smbprotocol is imported where a file is touched."""

from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.extras import holds_reference
from penstock.blocks.http import hide
from penstock.storage.fsspec_storage import FsspecStorage, check_no_scheme
from penstock.storage.store_errors import words_of

#: Seconds that opening a connection may take.
_CONNECT_TIMEOUT = 20


class SMB(FsspecStorage):
    """Keeps files in a share of a Windows or Samba server.

    Without user and password, the Kerberos ticket of the process is used.
    """

    _block_type_name: ClassVar[str | None] = "SMB"
    _block_type_slug: ClassVar[str | None] = "smb"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import SMB

        share = SMB(share_path="/flows/main", smb_host="files.example.com", smb_username="me", smb_password="…")
        share.save("BLOCK_NAME")
    """

    share_path: str = Field(description="The share, and the folder in it, e.g. /SHARE/folder.")
    smb_username: SecretStr | None = Field(
        default=None, title="SMB username", description="Name of the user, e.g. me, DOMAIN\\me or me@example.com."
    )
    smb_password: SecretStr | None = Field(default=None, title="SMB password", description="The user's password.")
    smb_host: str = Field(title="SMB host", description="Name or address of the server.")
    smb_port: int | None = Field(
        default=None, ge=1, le=65535, title="SMB port", description="Port of the server; 445 if nothing is given."
    )

    @field_validator("share_path")
    @classmethod
    def _check_share_path(cls, value: str) -> str:
        check_no_scheme(value, "share_path")
        if not holds_reference(value):
            if "\\" in value:
                raise ValueError(
                    f"share_path is {value!r}; it has to look like /SHARE/folder, with slashes and without the server."
                )
            if ".." in value.split("/"):
                raise ValueError(f"share_path is {value!r}; it may not lead upwards.")
        return value

    @field_validator("smb_host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if holds_reference(value):
            return value
        if not value or any(mark in value for mark in "/\\@ "):
            raise ValueError(f"smb_host is {value!r}; it has to be a name or an address alone, e.g. files.example.com.")
        if value.count(":") == 1:
            raise ValueError(f"smb_host is {value!r}; the port is given in smb_port.")
        return value

    @model_validator(mode="after")
    def _check_way_in(self) -> Self:
        if (self.smb_username is None) != (self.smb_password is None):
            missing = "smb_username" if self.smb_username is None else "smb_password"
            raise ValueError(f"smb_username and smb_password belong together; {missing} is not given.")
        return self

    def location(self) -> str:
        return f"smb://{self._address()}/{self.share_path.strip('/')}"

    def options(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"host": self.smb_host, "port": self.smb_port, "timeout": _CONNECT_TIMEOUT}
        if self.smb_username is not None and self.smb_password is not None:
            chosen["username"] = self.smb_username.get_secret_value()
            chosen["password"] = self.smb_password.get_secret_value()
        return chosen

    def _root(self) -> str:
        return "/" + self._place(None).strip("/").partition("/")[0]

    def _address(self) -> str:
        host = f"[{self.smb_host}]" if ":" in self.smb_host else self.smb_host
        return host if self.smb_port is None else f"{host}:{self.smb_port}"

    def _told(self, place: str) -> str:
        return f"smb://{self._address()}{place}"

    def _without_secrets(self, error: Exception) -> str:
        secrets = (self.smb_username, self.smb_password)
        return hide(words_of(error), [secret.get_secret_value() for secret in secrets if secret is not None])
