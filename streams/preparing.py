"""What the settings of a stage lean on, looked at before anything starts."""

from models import preparing
from models.security import ssl_context
from streams.blob_store import open_store
from streams.settings import BlobStoreSettings, StageSettings


def prepare(settings: StageSettings) -> None:
    """Make the stage's folders and read its files; raise `Misconfigured` if it could not work."""
    preparing.folder("STATE_DIR", settings.state_dir)
    if settings.worker_port:
        preparing.address("WORKER_HOST", settings.worker_host)
    ssl_context(settings)
    if isinstance(settings, BlobStoreSettings):
        open_store(settings.blob_store_url)
