"""Build the validators in the fork server, so that every process of the pool starts with them and shares their memory.

Importing this does the work, in the fork server and nowhere else: this is a process file.
"""

from models import tuning
from streams.bundles.validation.build import validators

VALIDATORS = validators()
tuning.freeze()
