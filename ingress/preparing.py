"""What the settings of the ingress lean on, looked at before anything starts."""

from ingress.settings import IngressSettings
from models import preparing
from models.security import ssl_context


def prepare(settings: IngressSettings) -> None:
    """Make the spool's folder and read the files; raise `Misconfigured` if the ingress could not work."""
    if settings.spool_bytes_max:
        preparing.folder("SPOOL_DIR", settings.spool_dir)
    preparing.address("INGRESS_HOST", settings.ingress_host)
    ssl_context(settings)  # what it would say while the ingress serves, nobody would read
