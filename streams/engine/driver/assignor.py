"""Keeps Faust's assignor from partitions that are not ours.

It puts topics with the same partition count together, and so parts a source that was given more from its changelog.
"""

from typing import Any

from faust.assignor.partition_assignor import PartitionAssignor


class OursOnly(PartitionAssignor):  # type: ignore[misc]
    """Faust's assignor, which sees as many partitions of each topic as TOPIC_PARTITIONS says."""

    def _perform_assignment(self, cluster: Any, member_metadata: Any) -> Any:
        return super()._perform_assignment(_Ours(cluster, self.app.conf.topic_partitions), member_metadata)


class _Ours:
    def __init__(self, cluster: Any, partitions: int) -> None:
        self._cluster = cluster
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        found = self._cluster.partitions_for_topic(topic)
        return found and {number for number in found if number < self._partitions}
