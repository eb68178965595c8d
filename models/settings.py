"""What an operator can set: environment variables, a `.env` file, or secret files mounted at `/run/secrets`.

Here is what several processes share: where Kafka is, what is logged, and how settings are read. Each process has one
class with what it needs and nothing else, beside its code: `ingress.settings`, `streams.<stage>.settings`. A name is
declared in one class only. Every limit carries its unit in its name.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict, SettingsError

from models.errors import Misconfigured
from models.fhir_types import R4_TYPES

SECRETS_DIR = Path("/run/secrets")

# A broker takes no request above its `socket.request.max.bytes`, 100 MiB if nobody changed it; the rest is for what
# comes on top of a record. https://kafka.apache.org/documentation/#brokerconfigs_socket.request.max.bytes
RECORD_BYTES_LARGEST = 96 * 2**20

# Old names that still work, for one release, and what they are called now.
RENAMED = {"FETCH_BYTES_MAX": "KAFKA_FETCH_BYTES_MAX"}

# How names begin that nobody else gives to anything; KAFKA_ and LOG_ are others', too.
_OURS = ("BUNDLE_", "FETCH_", "FHIR_", "INGRESS_", "REMOVALS_", "REMOVED_", "SPOOL_", "TOPIC_")
_ALIKE = 0.87  # of 1: one letter too few in a name of ten

_Settings = TypeVar("_Settings", bound=BaseSettings)


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _named(value: object) -> object:
    """Refuse an empty text: as a path it would be the folder that the process happens to stand in."""
    if value == "":
        raise ValueError("is empty; name a folder, or leave it out")
    return value


Folder = Annotated[Path, BeforeValidator(_named)]
Commas = BeforeValidator(_split)  # "a,b" in the environment; with NoDecode beside it, not JSON


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    plain = bool(host) and (":" not in host or (host[0], host[-1]) == ("[", "]")) and not set(host) & set("/@ ")
    return plain and port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535  # noqa: PLR2004 - RFC 793


class Settings(BaseSettings):
    """Where settings come from."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )


class LogSettings(Settings):
    """What is logged, and how."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="`auto`: text on a terminal, else JSON.")


class ProcessSettings(LogSettings):
    """What every process that stays needs."""

    stop_timeout_s: float = Field(
        20.0, gt=0, le=600, description="From SIGTERM to the end: what is held is finished within this time."
    )


class KafkaSettings(Settings):
    """Where Kafka is, how to enter it, and what is alike in all topics."""

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
    kafka_ssl_keyfile: Path | None = Field(
        None, description="Client key (PEM), for mutual TLS; in the certificate's file when unset."
    )

    topic_prefix: str = Field(
        "metriport.",
        max_length=100,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="First part of every topic's name, and of consumer groups.",
    )
    topic_partitions: int = Field(
        12,
        ge=1,
        le=1000,
        description="Partitions of every topic, alike in all processes. It stays as it is: patients have their places"
        " by it.",
    )
    record_bytes_max: int = Field(
        40 * 2**20,
        ge=2**20,
        le=RECORD_BYTES_LARGEST,
        description="Largest Kafka record; above `BODY_BYTES_MAX`, and the broker's `message.max.bytes` must allow it.",
    )

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
        if self.kafka_ssl_keyfile is not None and self.kafka_ssl_certfile is None:
            raise ValueError("KAFKA_SSL_KEYFILE is of no use without KAFKA_SSL_CERTFILE: set that, too")
        return self


class StateTypesSettings(Settings):
    """Which FHIR types have a state topic of their own."""

    fhir_state_types: Annotated[tuple[str, ...] | None, NoDecode, Commas] = Field(
        None,
        description="FHIR types with a state topic of their own, with commas between; the types Metriport's bundles"
        " hold when unset.",
    )

    @field_validator("fhir_state_types")
    @classmethod
    def _r4_types(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if unknown := [name for name in value or () if name not in R4_TYPES]:
            raise ValueError(f"FHIR R4 has no resource type {unknown[0]!r}")
        return value


class CatalogueSettings(StateTypesSettings, KafkaSettings):
    """What the whole catalogue of topics needs, to be made, checked or read."""

    topic_replication: int = Field(
        3, ge=1, le=10, description="Copies of every topic, for `topics apply`; 1 on a Kafka of one broker."
    )


def load(kind: type[_Settings], **overrides: Any) -> _Settings:  # noqa: ANN401 - whatever the fields take
    """Return the settings of one process, or raise `Misconfigured` with a sentence per problem and no secret in it."""
    return load_all([kind], **overrides)[0]


def load_all(kinds: Iterable[type[_Settings]], **overrides: Any) -> list[_Settings]:  # noqa: ANN401
    """Return the settings of several processes; what is wrong for more than one of them is told once."""
    found: list[_Settings] = []
    sentences: dict[str, None] = {}
    for kind in kinds:
        try:
            found.append(kind(**overrides))
        except ValidationError as error:
            sentences |= dict.fromkeys(_sentence(kind, item["loc"], item) for item in error.errors(include_input=False))
        except SettingsError as error:
            sentences[_no_json(error)] = None
    if sentences:
        raise Misconfigured(" ".join(sentences))
    return found


def given() -> set[str]:
    """Return every name that is set here, whosever it is: in the environment, in `.env`, or as a secret file."""
    secrets = SECRETS_DIR.iterdir() if SECRETS_DIR.is_dir() else ()
    names = (*os.environ, *DotEnvSettingsSource(Settings).env_vars, *(file.name for file in secrets))
    return {name.upper() for name in names}


def renamed() -> list[str]:
    """Return a sentence for each setting that is given by its old name."""
    found = given()
    return [
        f"{old} is {new} now. The old name works in this release only." for old, new in RENAMED.items() if old in found
    ]


def unknown(known: Iterable[str]) -> list[str]:
    """Return a sentence for each name that is set, is none of the `known` settings, and looks as if it should be."""
    names = {*(name.upper() for name in known), *RENAMED}
    sentences = []
    for name in sorted(given() - names):
        close = difflib.get_close_matches(name, names, n=1, cutoff=_ALIKE)
        if close:
            meant = RENAMED.get(close[0], close[0])
            sentences.append(f"{name} is no setting; perhaps {meant} is meant.")
        elif name.startswith(_OURS):
            sentences.append(f"{name} is no setting.")
    return sentences


def _no_json(error: SettingsError) -> str:
    # It says: error parsing value for field "fhir_level_by_type" from source "EnvSettingsSource"
    name = str(error).partition('field "')[2].partition('"')[0]
    return f"{name.upper()}: must be JSON."


def _sentence(kind: type[BaseSettings], location: tuple[int | str, ...], item: Any) -> str:  # noqa: ANN401 - pydantic's
    said = item["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if not location:
        return f"{said}."
    name = str(location[0])
    field = kind.model_fields.get(name)
    if item["type"] in {"missing", "too_short"} and field is not None:
        return f"{name.upper()} is not set. {field.description}"
    return f"{name.upper()}: {said}."
