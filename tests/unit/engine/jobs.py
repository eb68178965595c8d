"""Small jobs for the engine's tests."""

from models.errors import Poison
from streams.engine.job import BatchedJob, Output, Step, StepwiseJob


class Fold(BatchedJob):
    """Value: digits. Sends the value `value % 3` times to one of two topics, keeps count and last value per key."""

    outputs = ("a", "b")
    quarantine = "quarantine"

    def decode(self, record):
        if record.value == b"poison":
            raise Poison("not_json")
        return record.key, int(record.value)

    def keys(self, item):
        return (item[0],)

    def apply(self, item, state):
        key, number = item
        count = int((state.get(key) or b"0").split(b" ")[0])
        state.put(key, b"%d %d" % (count + 1, number))
        return [Output(self.outputs[number % 2], key, b"%d.%d" % (number, copy)) for copy in range(number % 3)]


class Told(BatchedJob):
    """Publishes all that its sources told of a key so far: the newest output must say what the state says."""

    outputs = ("told",)
    quarantine = "quarantine"

    def decode(self, record):
        return record.key, record.value

    def keys(self, item):
        return (item[0],)

    def apply(self, item, state):
        key, value = item
        told = (state.get(key) or b"") + value
        state.put(key, told)
        return [Output("told", key, told)]


class Walk(StepwiseJob):
    """Value: a number of steps; each writes one output and one key, and reads what the one before wrote."""

    outputs = ("a",)
    quarantine = "quarantine"

    def __init__(self, *, wait=None, fail_at=None, error=None):
        self.wait, self.fail_at, self.error = wait, fail_at, error

    async def process(self, record, context):
        for step in range(int(record.value)):
            if step == self.fail_at:
                raise self.error
            if self.wait:
                await self.wait(record, step)
            before = context.get([b"%d/%d" % (record.offset, step - 1)])[0]
            assert step == 0 or before == b"%d" % (step - 1)
            output = Output("a", record.key, b"%d.%d" % (record.offset, step))
            yield Step([output], {b"%d/%d" % (record.offset, step): b"%d" % step})
