"""Asking a teacher many questions: pool, rate limits, ledger, budget, message batches.

In: requests. Out: replies, each paid for once and on disk before the next is asked for.
"""
