"""The generated tables of docs/: topics, headers, fields and reasons from models/, metrics from the events.

`python -m cli.reference` (`make docs`) writes them between the marks in each page; a test fails while a page differs.
"""

import re
from collections.abc import Callable, Mapping

from cli.reference import fields, metrics, quarantine, topics

SECTIONS: Mapping[str, Callable[[], str]] = {
    "topics": topics.table_of_topics,
    "headers": topics.table_of_headers,
    "headers by topic": topics.table_of_carried,
    "fields": fields.fields,
    "metrics": metrics.metrics,
    "reasons": quarantine.table_of_reasons,
}

_SECTION = re.compile(r"(<!-- generated: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """Return a page with its generated sections as they should be; raise `KeyError` for a section there is not."""
    return _SECTION.sub(lambda found: f"{found[1]}\n{SECTIONS[found['name']]()}\n{found[3]}", page)
