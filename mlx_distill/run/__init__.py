"""The ground floor: a run's folder, configuration, records and files, and the words that all rooms share.

It imports no other room.
"""
