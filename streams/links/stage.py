"""The `links` stage: deliveries with links -> `documents` · `bundles` · `bulk-patients` | `quarantine.links`.

Key: the patient's id; the request id for bulk jobs. Delivery: each link's record is written once, with a `ce_id` made
of its delivery's; after a crash links may be fetched again, and become the same record and the same blob. What fails
is a record too, with its reason; bytes that came and are not what they should be are kept aside, and the record is in
`quarantine.links` as well.
"""

from contextlib import AsyncExitStack
from functools import partial

import stamina.instrumentation

from models import topics
from streams.blob_store import open_store
from streams.configuration import engine_settings
from streams.engine.app import Stage, create
from streams.engine.fatal import die
from streams.links.fetching.address import AddressRules
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.client import Client
from streams.links.fetching.fetch import Fetcher
from streams.links.job import LinksJob
from streams.links.limits import FetchLimits
from streams.links.listing.extract import topics_with_links
from streams.links.settings import LinksSettings


def worker(settings: LinksSettings) -> Stage:
    """Return the stage, ready to run."""
    # Its own events tell of retries; stamina's would print what it was called with.
    stamina.instrumentation.set_on_retry_hooks(())
    limits = fetch_limits(settings)
    rules = AddressRules(settings.fetch_allowed_hosts, settings.fetch_trusted_origins, settings.fetch_allowed_ports)

    store, staging = open_store(settings.blob_store_url), f"staging/{settings.topic_prefix}links"
    proxy = settings.fetch_proxy_url

    async def open_(stack: AsyncExitStack) -> tuple[Fetcher, Blobs]:
        client = await stack.enter_async_context(Client(rules, limits, proxy=proxy))
        blobs = Blobs(store, staging=staging)
        return Fetcher(client, blobs, limits), blobs

    job = LinksJob(settings.topic_prefix, limits, open_, end=partial(die, stage="links"))
    # One delivery may list thousands of links, and its changes are one record batch.
    return create(
        job, engine_settings("links", (*topics_with_links(), topics.UNRECOGNISED), settings, batch_records_max=50)
    )


def fetch_limits(settings: LinksSettings) -> FetchLimits:
    """Return the limits an operator can set, and the others as they are."""
    return FetchLimits(
        concurrency=settings.fetch_concurrency,
        concurrency_per_host=settings.fetch_concurrency_per_host,
        concurrency_per_patient=settings.fetch_concurrency_per_patient,
        connect_timeout_s=settings.fetch_connect_timeout_s,
        idle_timeout_s=settings.fetch_idle_timeout_s,
        total_timeout_s=settings.fetch_total_timeout_s,
        bytes_max=settings.fetch_bytes_max_per_link,
        inflated_bytes_max=settings.fetch_inflated_bytes_max,
        waiting_bytes_max=settings.fetch_waiting_bytes_max,
        order_wait_s=settings.bundle_order_wait_s,
        answer_timeout_s=settings.fetch_answer_timeout_s,
        rows_max=settings.bulk_rows_max,
        unrecognised_links_max=settings.unrecognised_links_max,
    )
