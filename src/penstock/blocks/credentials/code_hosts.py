"""Tokens of the hosts that keep git repositories."""

from typing import ClassVar

from pydantic import Field, SecretStr

from penstock.blocks.base import Block


class GitLabCredentials(Block):
    """Lets blocks read private repositories on GitLab."""

    _block_type_name: ClassVar[str | None] = "GitLab Credentials"
    _block_type_slug: ClassVar[str | None] = "gitlab-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import GitLabCredentials

        GitLabCredentials(token="${env:GITLAB_TOKEN}").save("BLOCK_NAME")
    """

    token: SecretStr | None = Field(default=None, description="Personal, project, group or deploy token.")
    url: str | None = Field(
        default=None, description="Address of a GitLab of your own, e.g. https://gitlab.example.com."
    )


class BitBucketCredentials(Block):
    """Lets blocks read private repositories on Bitbucket."""

    _block_type_name: ClassVar[str | None] = "BitBucket Credentials"
    _block_type_slug: ClassVar[str | None] = "bitbucket-credentials"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import BitBucketCredentials

        BitBucketCredentials(token="${env:BITBUCKET_TOKEN}").save("BLOCK_NAME")
    """

    token: SecretStr | None = Field(default=None, description="Access token of a repository, project or workspace.")
    username: str | None = Field(default=None, description="Name to log in with, if it is an app password.")
    password: SecretStr | None = Field(default=None, description="App password, or password of a server of your own.")
    url: str = Field(default="https://api.bitbucket.org/", description="Address of the API.")
