"""A Messages API on loopback for the real client: rate limits, prompt caching, batches, faults, and an exact bill.

In: `MessagesServer(answer, delay, limits=…, faults=…, …)`, all optional. Out: `server.url`, and what the server
saw: `asked`, `headers`, `most_at_once`, `statuses`, `billing`, `batches`. `ServerProcess` is the same in a process.
Start reading in api.py.
"""

from messages_api.answers import Answer, Refused, Reply, echo, error, message, request_hash
from messages_api.batch import Batch, BatchRules
from messages_api.billing import Billing, Price
from messages_api.faults import BATCH_ITEM_KINDS, KINDS, LOST, Faults
from messages_api.limits import Limits, Rate
from messages_api.process import ServerProcess
from messages_api.server import MessagesServer
from messages_api.tokens import Tokens

__all__ = [
    "BATCH_ITEM_KINDS",
    "KINDS",
    "LOST",
    "Answer",
    "Batch",
    "BatchRules",
    "Billing",
    "Faults",
    "Limits",
    "MessagesServer",
    "Price",
    "Rate",
    "Refused",
    "Reply",
    "ServerProcess",
    "Tokens",
    "echo",
    "error",
    "message",
    "request_hash",
]
