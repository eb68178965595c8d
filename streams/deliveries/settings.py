"""What an operator can set for the `deliveries` stage."""

from pydantic import Field

from streams.settings import BatchSettings


class DeliveriesSettings(BatchSettings):
    """What `deliveries` needs beside what every stage needs."""

    deduplicate: bool = Field(
        default=True, description="Switch off only against Metriport's sandbox, whose test events reuse a message id."
    )
