"""Files that are known to hold keys or passwords, by their names and their first bytes. Pure."""

import re
from fnmatch import fnmatchcase

#: Patterns of names, in lower case; with a slash, of the end of the path.
_NAMES = (
    ".env", ".env.*", ".envrc", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "id_rsa", "id_dsa",
    "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "kubeconfig", "*.kubeconfig", ".kube/config", ".aws/credentials",
    ".azure/accesstokens.json", ".azure/msal_token_cache.json", "application_default_credentials.json", ".docker/config.json",
    ".dockercfg", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".pypirc", ".git-credentials", ".htpasswd", ".vault-token",
    "credentials.toml", "*.tfstate", "*.tfstate.backup", "server.key",
)  # fmt: skip
#: Names that fit one of the above and are made to be shown.
_HARMLESS = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults")
#: So many first bytes of a file are looked at.
HEAD = 4096

_PRIVATE_KEY = re.compile(rb"^-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----", re.MULTILINE)
_SERVICE_ACCOUNT = re.compile(rb'"type"\s*:\s*"service_account"')
_AUTHORIZED_USER = re.compile(rb'"(refresh_token|private_key)"\s*:\s*"')
_KUBECONFIG = re.compile(rb"^kind:\s*Config\s*$", re.MULTILINE)
_NPM_TOKEN = re.compile(rb"^[^#;\n]*_(authToken|auth|password)\s*=", re.MULTILINE)


def holds_secret(path: str, head: bytes) -> bool:
    """Whether the file at `path`, with ``/``, whose content begins with `head`, is one of keys or passwords."""
    lower = path.lower()
    name = lower.rpartition("/")[2]
    if name in _HARMLESS:
        return False
    if any(fnmatchcase(name, pattern) or f"/{lower}".endswith(f"/{pattern}") for pattern in _NAMES):
        return True
    if name == ".npmrc":
        return _NPM_TOKEN.search(head) is not None
    if name.endswith(".json"):
        return _SERVICE_ACCOUNT.search(head) is not None and _AUTHORIZED_USER.search(head) is not None
    if name.endswith((".yaml", ".yml", ".conf")) and _KUBECONFIG.search(head):
        return b"clusters:" in head or b"users:" in head
    # a certificate alone is no secret, and neither is a program that mentions keys
    return _PRIVATE_KEY.search(head) is not None and not name.endswith((".py", ".md", ".rst", ".ipynb"))
