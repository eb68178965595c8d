"""What the fork server holds, so that every process of the pool starts with all classes built and shares their memory.

Importing this does the work, in the fork server and nowhere else: this is a process file.
"""

from models import tuning
from streams.bundles.validation.build import judges

JUDGES = judges()
tuning.freeze()
