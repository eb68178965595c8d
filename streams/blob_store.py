"""Where fetched bytes are kept: written by one stage, read by another, opened by both alike."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from models import preparing
from models.errors import Misconfigured

# Object stores, by the first letters of their URL, and how the names of their variables in the environment begin.
_REMOTE = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
# The library's own limit is half a minute for a whole request, its body included: too short for the largest bundles,
# to read or to copy. Silence is what tells of a store that is away.
_CLIENT = {"connect_timeout": "5 seconds", "read_timeout": "60 seconds", "timeout": "15 minutes"}
# With options of ours, the library no longer looks for these in the environment itself.
_FROM_ENVIRONMENT = ("allow_http", "allow_invalid_certificates", "proxy_url", "proxy_ca_certificate", "proxy_excludes")


def open_store(url: str) -> ObjectStore:
    """Return the store at `url`: `file://`, `s3://`, `gs://`, `az://` or `memory://`.

    Raise `Misconfigured` if it cannot be one; whether a remote one answers is not looked at.
    """
    if url.startswith("file:"):
        path = Path(url2pathname(urlsplit(url).path))
        preparing.folder("BLOB_STORE_URL", path, look_within=False)
        return LocalStore(path)
    try:
        return _remote(url)
    except BaseError as error:
        # "Generic MicrosoftAzure error: Account must be specified", then the library's own view of it.
        why = str(error).partition("\n")[0].rpartition("error: ")[2]
        raise Misconfigured(f"BLOB_STORE_URL cannot be used: {why}.") from None


def _remote(url: str) -> ObjectStore:
    variables = _REMOTE.get(url[:2])
    if variables is None:
        return from_url(url)
    options: dict[str, Any] = {"client_options": _CLIENT | _environment(variables)}
    if variables == "AWS":
        # S3 has no conditional copy; a multipart copy can be completed conditionally.
        options["config"] = {"copy_if_not_exists": "multipart"}
    return from_url(url, **options)


def _environment(variables: str) -> dict[str, str]:
    found = {name: os.environ.get(f"{variables}_{name.upper()}") for name in _FROM_ENVIRONMENT}
    return {name: value for name, value in found.items() if value is not None}
