"""Flow code on GitLab and Bitbucket, with credentials that are blocks of their own."""

from typing import ClassVar

from pydantic import Field

from penstock.blocks.credentials.code_hosts import BitBucketCredentials, GitLabCredentials
from penstock.storage.git import GitCode
from penstock.storage.git_program import Login


class GitLabRepository(GitCode):
    """Flow code in a repository on GitLab. It is read, never written."""

    _block_type_name: ClassVar[str | None] = "GitLab Repository"
    _block_type_slug: ClassVar[str | None] = "gitlab-repository"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import GitLabCredentials
        from penstock.filesystems import GitLabRepository

        token = GitLabCredentials.load("CREDENTIALS_NAME")
        GitLabRepository(repository="https://gitlab.com/example/flows.git", credentials=token).save("BLOCK_NAME")
    """

    git_depth: int | None = Field(
        default=1, ge=1, description="So many commits are fetched; one is enough for the code."
    )
    credentials: GitLabCredentials | None = Field(default=None, description="Token, for private repositories.")

    def login(self) -> Login:
        token = self.credentials.token if self.credentials else None
        return Login("oauth2", token.get_secret_value()) if token else Login()

    def history(self) -> tuple[int, bool, bool]:
        return self.git_depth or 1, False, True


class BitBucketRepository(GitCode):
    """Flow code in a repository on Bitbucket. It is read, never written."""

    _block_type_name: ClassVar[str | None] = "BitBucket Repository"
    _block_type_slug: ClassVar[str | None] = "bitbucket-repository"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.credentials import BitBucketCredentials
        from penstock.filesystems import BitBucketRepository

        login = BitBucketCredentials.load("CREDENTIALS_NAME")
        block = BitBucketRepository(repository="https://bitbucket.org/example/flows.git", bitbucket_credentials=login)
        block.save("BLOCK_NAME")
    """

    bitbucket_credentials: BitBucketCredentials | None = Field(
        default=None, description="Token, or name and app password, for private repositories."
    )

    def login(self) -> Login:
        found = self.bitbucket_credentials
        if found is not None and found.token is not None:
            return Login(found.username or "x-token-auth", found.token.get_secret_value())
        if found is not None and found.password is not None:
            return Login(found.username or "", found.password.get_secret_value())
        return Login()
