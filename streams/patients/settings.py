"""What an operator can set for the `patients` stage."""

from streams.settings import BatchSettings


class PatientsSettings(BatchSettings):
    """What `patients` needs: nothing beside what every stage needs."""
