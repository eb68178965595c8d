"""Keeps aiokafka from creating topics.

A request for the metadata of a topic that is missing creates it, with the broker's own partition count, unless the
request says otherwise; brokers allow that by default, and aiokafka has no setting for it.
https://kafka.apache.org/protocol.html#The_Messages_Metadata, `allow_auto_topic_creation`

The ingress, the engine and the commands must all say so, and none of them may import another: the one module of this
package that imports a client. It changes how a request is written down, and opens nothing.
"""

from aiokafka.protocol.metadata import MetadataRequest

_TOPICS, _ALLOW_CREATION = None, False


def never_create_topics() -> None:
    """Let every aiokafka client of this process, Faust's too, ask without creating."""
    MetadataRequest.__init__.__defaults__ = (_TOPICS, _ALLOW_CREATION)
