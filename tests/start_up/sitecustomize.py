"""Read by the processes that the tests start: their path leads here."""

import quick_index

quick_index.install()
