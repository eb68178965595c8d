from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition


async def test_a_record_sent_to_the_broker_comes_back_byte_for_byte(kafka, topics):
    [topic] = await topics("webhooks", partitions=2)
    value = b"\x00" * (33 * 1024 * 1024)

    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=len(value) + 1000) as producer:
        await producer.send_and_wait(topic, value, partition=1)
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        consumer.assign([TopicPartition(topic, 1)])
        await consumer.seek_to_beginning()
        record = await consumer.getone()

    assert record.value == value


async def test_a_topic_nobody_created_is_not_made_by_asking_for_it(admin, topic_prefix):
    [described] = await admin.describe_topics([f"{topic_prefix}never"])

    assert described["error_code"] == 3
