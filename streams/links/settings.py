"""What an operator can set for the `links` stage."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from models.settings import Commas
from streams.settings import BlobStoreSettings, StageSettings


def _is_origin(text: str) -> bool:
    try:
        parsed = urlsplit(text)
        return (
            parsed.scheme in {"http", "https"}
            and bool(parsed.hostname)
            and parsed.port != 0  # reading it raises where it is none
            and "@" not in parsed.netloc
            and not (parsed.path.strip("/") or parsed.query or parsed.fragment)
        )
    except ValueError:
        return False


class LinksSettings(BlobStoreSettings, StageSettings):
    """What `links` needs beside what every stage needs."""

    fetch_allowed_hosts: Annotated[tuple[str, ...], NoDecode, Commas] = Field(
        ("amazonaws.com", "metriport.com"),
        description="Host suffixes that links may point at; in production the hosts of the buckets themselves.",
    )
    fetch_allowed_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], NoDecode, Commas] = Field(
        (443,), description="Ports that links may point at."
    )
    fetch_trusted_origins: Annotated[tuple[str, ...], NoDecode, Commas] = Field(
        (), description="Exact origins, `http://127.0.0.1:9000`, exempt from the rules for links."
    )
    fetch_proxy_url: str | None = Field(
        None, description="An HTTP proxy for links; those of the environment are not used."
    )
    fetch_concurrency: int = Field(64, ge=1, le=1000, description="Links fetched at once, slow ones aside.")
    fetch_concurrency_per_host: int = Field(32, ge=1, le=1000, description="The same, of one host.")
    fetch_concurrency_per_patient: int = Field(8, ge=1, le=1000, description="The same, of one patient.")
    fetch_connect_timeout_s: float = Field(5.0, gt=0, le=60, description="To connect to one address of a host.")
    fetch_answer_timeout_s: float = Field(
        30.0, gt=0, le=600, description="From the beginning of an attempt to the end of the answer's headers."
    )
    fetch_idle_timeout_s: float = Field(15.0, gt=0, le=300, description="The longest pause of a server.")
    fetch_total_timeout_s: float = Field(900.0, gt=0, le=86400, description="The longest that one attempt may take.")
    fetch_bytes_max_per_link: int = Field(2 * 2**30, ge=2**20, description="The largest body that is fetched.")
    fetch_inflated_bytes_max: int = Field(4 * 2**30, ge=2**20, description="The largest that gzip may become.")
    fetch_waiting_bytes_max: int = Field(
        128 * 2**20, ge=2**20, description="Memory for what is received and not yet stored, of all fetches together."
    )
    unrecognised_links_max: int = Field(
        20, ge=0, le=1000, description="Links fetched from one delivery of an unknown type; 0: none."
    )
    bulk_rows_max: int = Field(
        1_000_000, ge=1, le=100_000_000, description="Rows of one bulk result that are published; each is a record."
    )
    bundle_order_wait_s: float = Field(
        30.0, ge=0, le=3600, description="How long a bundle waits for an older one of the same patient."
    )

    @field_validator("fetch_trusted_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_is_origin(origin) for origin in value):
            raise ValueError("must be origins with commas between, such as http://127.0.0.1:9000")
        return value
