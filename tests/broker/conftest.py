from collections.abc import AsyncIterator

import pytest

from tests.broker.small_stage import BIG, CHANGELOG, Stage


@pytest.fixture
async def stage(kafka, topics, topic_prefix, tmp_path) -> AsyncIterator[Stage]:
    """A small stage with its topics, and no worker yet."""
    await topics("in", "other", "out", "quarantine", partitions=2, configs=BIG)
    await topics(CHANGELOG, partitions=2, configs={**BIG, "cleanup.policy": "compact"})
    made = Stage(kafka, topic_prefix, tmp_path)
    yield made
    await made.close()
