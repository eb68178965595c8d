"""What an operator can set: environment variables, a `.env` file, or secret files mounted at `/run/secrets`.

One class per process, each with what that process needs and nothing else. Every limit carries its unit in its name.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.errors import Misconfigured

SECRETS_DIR = Path("/run/secrets")

# Metriport's keys have 21 characters; other senders and tests have others. What is as short as this is a mistake.
KEY_CHARACTERS_MIN = 6

# Of each body, so much has always room, whatever others send. Most of Metriport's are smaller.
SMALL_BODY_BYTES = 64 * 2**10

_Settings = TypeVar("_Settings", bound=BaseSettings)
_Commas = NoDecode  # "a,b" in the environment, not JSON


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _named(value: object) -> object:
    """Refuse an empty text: as a path it would be the folder that the process happens to stand in."""
    if value == "":
        raise ValueError("is empty; name a folder, or leave it out")
    return value


Folder = Annotated[Path, BeforeValidator(_named)]


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


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    plain = bool(host) and (":" not in host or (host[0], host[-1]) == ("[", "]")) and not set(host) & set("/@ ")
    return plain and port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535  # noqa: PLR2004 - RFC 793


class KafkaSettings(BaseSettings):
    """Where Kafka is, how to enter it, and how the topics are named."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    kafka_bootstrap_servers: str = Field(description="Broker addresses, `host:port,host:port`.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to enter Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="With SASL: how to say who we are."
    )
    kafka_sasl_username: str | None = Field(None, description="With SASL: who we are.")
    kafka_sasl_password: SecretStr | None = Field(None, description="With SASL: the password.")
    kafka_ssl_cafile: Path | None = Field(None, description="CA certificates (PEM); the system's when unset.")
    kafka_ssl_certfile: Path | None = Field(None, description="Client certificate (PEM), for mutual TLS.")
    kafka_ssl_keyfile: Path | None = Field(None, description="Client key (PEM), for mutual TLS.")

    topic_prefix: str = Field(
        "metriport.",
        max_length=100,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="First part of every topic's name, and of consumer groups.",
    )
    topic_partitions: int = Field(12, ge=1, le=1000, description="Of every topic alike; checked at start.")
    topic_replication: int = Field(3, ge=1, le=10, description="Used by `topics apply`.")
    record_bytes_max: int = Field(40 * 2**20, ge=2**20, description="Largest Kafka record; above `BODY_BYTES_MAX`.")

    fhir_state_types: Annotated[tuple[str, ...] | None, _Commas] = Field(
        None, description="Types with a state topic of their own; the types Metriport's bundles hold when unset."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="`auto`: text on a terminal, else JSON.")

    @field_validator("fhir_state_types", mode="before")
    @classmethod
    def _types(cls, value: object) -> object:
        return _split(value)

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _addresses(cls, value: str) -> str:
        servers = [part.strip() for part in value.split(",") if part.strip()]
        if not servers or not all(map(_is_address, servers)):
            raise ValueError("must be host:port, or several of them with commas between")
        return ",".join(servers)

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError("SASL needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return self


class SpoolSettings(KafkaSettings):
    """What the spool needs, and what moves deliveries from there to Kafka."""

    spool_dir: Folder = Field(Path("var/spool"), description="Where deliveries wait for Kafka; one ingress per folder.")
    spool_bytes_max: int = Field(8 * 2**30, ge=0, description="The spool's size on disk; 0 switches it off.")
    spool_batch_max: int = Field(256, ge=1, le=10_000, description="Deliveries per commit, and per drain step.")
    body_bytes_max: int = Field(32 * 2**20, ge=1024, description="Largest webhook body.")
    producer_replace_s: float = Field(3.0, gt=0, le=60, description="A producer that hangs this long is replaced.")


class IngressSettings(SpoolSettings):
    """What the ingress needs."""

    metriport_webhook_keys: Annotated[tuple[SecretStr, ...], _Commas] = Field(
        min_length=1,
        max_length=10,
        description="Set it to the webhook key that Metriport's dashboard shows, or to several with commas between.",
    )
    ingress_host: str = Field(
        "0.0.0.0",  # noqa: S104 - Metriport reaches us from outside; the pinned default
        description="Address the ingress listens on.",
    )
    ingress_port: int = Field(8080, ge=0, le=65535, description="Port the ingress listens on.")

    connections_max: int = Field(
        1000, ge=10, le=50_000, description="Connections at once; one more, and the one idle longest is closed."
    )
    head_bytes_max: int = Field(16 * 2**10, ge=4096, le=2**17, description="Largest request line and headers.")
    head_timeout_s: float = Field(5.0, gt=0, le=60, description="From their first byte to their last.")
    body_timeout_s: float = Field(3.0, gt=0, le=60, description="From the end of the headers to the last body byte.")
    inflight_bytes_max: int = Field(512 * 2**20, ge=2**20, description="All bodies held at once.")
    publish_timeout_s: float = Field(1.0, gt=0, le=3, description="Kafka's time to acknowledge; then the spool.")
    answer_timeout_s: float = Field(1.8, gt=0, le=3.5, description="From the last body byte to the answer.")
    stop_timeout_s: float = Field(20.0, gt=0, le=600, description="From SIGTERM to the end.")

    @field_validator("metriport_webhook_keys", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        return _split(value)

    @field_validator("metriport_webhook_keys")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, key in enumerate(value, 1):
            if len(key.get_secret_value()) < KEY_CHARACTERS_MIN:
                raise ValueError(
                    f"key {number} is shorter than {KEY_CHARACTERS_MIN} characters, so it is not the one that"
                    " Metriport's dashboard shows"
                )
        return value

    @model_validator(mode="after")
    def _room_for_a_body(self) -> Self:
        if self.inflight_bytes_max - self.small_bodies_bytes < self.body_bytes_max:
            raise ValueError(
                "INFLIGHT_BYTES_MAX must be at least BODY_BYTES_MAX and, for each of CONNECTIONS_MAX,"
                f" {SMALL_BODY_BYTES} bytes: {self.body_bytes_max + self.small_bodies_bytes}"
            )
        return self

    @property
    def small_bodies_bytes(self) -> int:
        """The part of `inflight_bytes_max` that large bodies cannot take: a small one for each connection."""
        return self.connections_max * SMALL_BODY_BYTES

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """The keys as the bytes that HMAC takes."""
        return tuple(key.get_secret_value().encode() for key in self.metriport_webhook_keys)


class WorkerSettings(KafkaSettings):
    """What every stage of the worker needs."""

    state_dir: Folder = Field(
        Path("var/state"), description="The stages' tables (RocksDB); rebuilt from Kafka if lost."
    )
    state_memory_bytes_max: int = Field(
        64 * 2**20, ge=2**20, description="Memory of a stage's tables, of all its partitions together."
    )
    deduplicate: bool = Field(
        default=True, description="Switch off only against Metriport's sandbox, whose test events reuse a message id."
    )
    worker_host: str = Field("127.0.0.1", description="Where each stage answers /live, /ready and /metrics.")
    worker_port: int = Field(8081, ge=0, le=65000, description="The first stage's port, the others follow; 0: none.")
    batch_records_max: int = Field(500, ge=1, le=10_000, description="Records a stage handles as one.")
    fetch_bytes_max: int = Field(4 * 2**20, ge=2**16, description="Bytes fetched at once from a partition.")
    commit_interval_s: float = Field(0.5, gt=0, le=60, description="Between two commits of what is finished.")
    session_timeout_s: float = Field(30.0, ge=6, le=600, description="A silent worker loses its partitions then.")
    send_timeout_s: float = Field(120.0, gt=0, le=600, description="A send not acknowledged by then ends the process.")
    stuck_timeout_s: float = Field(300.0, gt=0, description="A stage that makes no progress for this long is ended.")
    late_after_s: float = Field(60.0, gt=0, description="A record unfinished for this long makes /ready say so.")
    stop_timeout_s: float = Field(20.0, gt=0, le=600, description="From SIGTERM to the end.")

    blob_store_url: str = Field(
        default_factory=lambda: Path("var/blobs").resolve().as_uri(),
        description="Where fetched bytes are kept: file, s3, gs, az or memory.",
    )
    fetch_allowed_hosts: Annotated[tuple[str, ...], _Commas] = Field(
        ("amazonaws.com", "metriport.com"), description="Host suffixes that links may point at."
    )
    fetch_allowed_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], _Commas] = Field(
        (443,), description="Ports that links may point at."
    )
    fetch_trusted_origins: Annotated[tuple[str, ...], _Commas] = Field(
        (), description="Exact origins, `http://127.0.0.1:9000`, exempt from the rules for links."
    )
    fetch_proxy_url: str | None = Field(
        None, description="An HTTP proxy for links; those of the environment are not used."
    )
    fetch_concurrency: int = Field(64, ge=1, le=1000, description="Links fetched at once, slow ones aside.")
    fetch_concurrency_per_host: int = Field(32, ge=1, le=1000)
    fetch_concurrency_per_patient: int = Field(8, ge=1, le=1000)
    fetch_connect_timeout_s: float = Field(5.0, gt=0, le=60)
    fetch_answer_timeout_s: float = Field(
        30.0, gt=0, le=600, description="From the beginning of an attempt to the end of the answer's headers."
    )
    fetch_idle_timeout_s: float = Field(15.0, gt=0, le=300, description="The longest pause of a server.")
    fetch_total_timeout_s: float = Field(900.0, gt=0, le=86400, description="The longest that one attempt may take.")
    fetch_bytes_max_per_link: int = Field(2 * 2**30, ge=2**20)
    fetch_inflated_bytes_max: int = Field(4 * 2**30, ge=2**20, description="The largest that gzip may become.")
    fetch_waiting_bytes_max: int = Field(128 * 2**20, ge=2**20, description="Received and not yet stored, of all.")
    unrecognised_links_max: int = Field(
        20, ge=0, le=1000, description="Links fetched from one delivery of an unknown type; 0: none."
    )
    bulk_rows_max: int = Field(1_000_000, ge=1, le=100_000_000, description="Of one bulk result; each is a record.")
    bundle_order_wait_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="How long a bundle waits for an older one of the same patient.",
    )

    @field_validator("fetch_allowed_hosts", "fetch_allowed_ports", "fetch_trusted_origins", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        return _split(value)

    @field_validator("fetch_trusted_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_is_origin(origin) for origin in value):
            raise ValueError("must be origins with commas between, such as http://127.0.0.1:9000")
        return value


def load(kind: type[_Settings], **overrides: Any) -> _Settings:  # noqa: ANN401 - whatever the fields take
    """Return the settings of one process, or raise `Misconfigured` with one line per problem and no values in it."""
    try:
        return kind(**overrides)
    except ValidationError as error:
        lines = [_sentence(kind, item["loc"], item) for item in error.errors(include_input=False)]
        raise Misconfigured(" ".join(lines)) from None


def _sentence(kind: type[BaseSettings], location: tuple[int | str, ...], item: Any) -> str:  # noqa: ANN401 - pydantic's
    said = item["msg"].removeprefix("Value error, ")
    if not location:
        return f"{said}."
    name = str(location[0])
    field = kind.model_fields.get(name)
    if item["type"] in {"missing", "too_short"} and field is not None:
        return f"{name.upper()} is not set. {field.description}"
    return f"{name.upper()}: {said}."
