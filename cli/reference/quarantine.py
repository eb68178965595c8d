"""The table of the reasons for which a record is in quarantine."""

from cli.reference.table import code, table
from models import reasons


def table_of_reasons() -> str:
    """Return every reason with the stages that give it."""
    return table(
        ("reason", "of", "means"),
        (
            (
                code(reason),
                ", ".join(stage for stage, given in reasons.OF_STAGE.items() if reason in given),
                sentence,
            )
            for reason, sentence in reasons.SAYS.items()
            if any(reason in given for given in reasons.OF_STAGE.values())
        ),
    )
