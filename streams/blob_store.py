"""Where fetched bytes are kept: written by one stage, read by another, opened by both alike."""

from typing import Any

from obstore.store import LocalStore, ObjectStore, from_url


def open_store(url: str) -> ObjectStore:
    """Return the store at `url`: `file://`, `s3://`, `gs://`, `az://` or `memory://`."""
    if url.startswith("file:"):
        return LocalStore.from_url(url, mkdir=True)
    options: dict[str, Any] = {}
    if url.startswith(("s3:", "s3a:")):
        # S3 has no conditional copy; a multipart copy can be completed conditionally.
        options = {"config": {"copy_if_not_exists": "multipart"}}
    return from_url(url, **options)
