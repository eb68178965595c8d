"""What an operator can set for the ingress, and for the commands that do a part of its work."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from models.settings import Commas, Folder, KafkaSettings, LogSettings, ProcessSettings, Settings

# Metriport's keys have 21 characters; other senders and tests have others. What is as short as this is a mistake.
KEY_CHARACTERS_MIN = 6

# Of each body, so much has always room, whatever others send. Most of Metriport's are smaller.
SMALL_BODY_BYTES = 64 * 2**10

# What a spool needs on its disk beside the bodies, each of which is for a while in its journal and in its file.
SPOOL_ROOM_BYTES = 256 * 2**10


class WebhookKeys(Settings):
    """The keys that sign deliveries."""

    metriport_webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode, Commas] = Field(
        min_length=1,
        max_length=10,
        description="Set it to the webhook key that Metriport's dashboard shows, or to several with commas between.",
    )

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

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """The keys as the bytes that HMAC takes."""
        return tuple(key.get_secret_value().encode() for key in self.metriport_webhook_keys)


class AddressSettings(Settings):
    """Where the ingress listens."""

    ingress_host: str = Field(
        "0.0.0.0",  # noqa: S104 - Metriport reaches us from outside; the pinned default
        description="Address the ingress listens on.",
    )
    ingress_port: int = Field(8080, ge=0, le=65535, description="Port the ingress listens on; 0: any that is free.")

    def url(self, port: int | None = None) -> str:
        """Return where the ingress is for who asks on the same machine, `http://127.0.0.1:8080`."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.ingress_host, self.ingress_host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{port or self.ingress_port}"


class SpoolFolderSettings(Settings):
    """Where the spool is."""

    spool_dir: Folder = Field(Path("var/spool"), description="Where deliveries wait for Kafka; one ingress per folder.")


class SpoolSettings(LogSettings, SpoolFolderSettings, KafkaSettings):
    """What moves deliveries from a spool to Kafka."""

    body_bytes_max: int = Field(32 * 2**20, ge=1024, description="Largest webhook body.")
    producer_replace_s: float = Field(
        3.0, gt=0, le=60, description="A Kafka producer that hangs this long is replaced."
    )


class IngressSettings(ProcessSettings, AddressSettings, WebhookKeys, SpoolSettings):
    """What the ingress needs."""

    spool_bytes_max: int = Field(8 * 2**30, ge=0, description="The spool's size on disk; 0 switches it off.")
    spool_batch_max: int = Field(256, ge=1, le=10_000, description="Deliveries per commit, and per step of the drain.")
    connections_max: int = Field(
        1000,
        ge=10,
        le=50_000,
        description="Connections at once; one more, and the one idle longest is closed. Each takes a file descriptor.",
    )
    head_bytes_max: int = Field(16 * 2**10, ge=4096, le=2**17, description="Largest request line and headers.")
    head_timeout_s: float = Field(5.0, gt=0, le=60, description="From their first byte to their last.")
    body_timeout_s: float = Field(3.0, gt=0, le=60, description="From the end of the headers to the last body byte.")
    inflight_bytes_max: int = Field(
        512 * 2**20,
        ge=2**20,
        description="All bodies held at once; 64 KiB of it for each connection are not for large ones.",
    )
    publish_timeout_s: float = Field(1.0, gt=0, le=3, description="Kafka's time to acknowledge; then the spool.")
    answer_timeout_s: float = Field(1.8, gt=0, le=3.5, description="From the last body byte to the answer.")

    @model_validator(mode="after")
    def _room_for_a_body(self) -> Self:
        if self.inflight_bytes_max - self.small_bodies_bytes < self.body_bytes_max:
            raise ValueError(
                "INFLIGHT_BYTES_MAX must be at least BODY_BYTES_MAX and, for each of CONNECTIONS_MAX,"
                f" {SMALL_BODY_BYTES} bytes: {self.body_bytes_max + self.small_bodies_bytes}"
            )
        if 0 < self.spool_bytes_max < (least := 2 * self.body_bytes_max + SPOOL_ROOM_BYTES):
            raise ValueError(
                "SPOOL_BYTES_MAX must be 0, for no spool, or have room for the largest body: twice BODY_BYTES_MAX and"
                f" 256 KiB, {least}, at least"
            )
        return self

    @property
    def small_bodies_bytes(self) -> int:
        """The part of `inflight_bytes_max` that large bodies cannot take: a small one for each connection."""
        return self.connections_max * SMALL_BODY_BYTES
