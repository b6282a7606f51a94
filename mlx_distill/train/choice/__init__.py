"""Choosing among several answers to one training prompt, by what the student itself finds likely.

`rules` decides, `sampling` and `scoring` find out what it decides by, `stage` reads and writes the files.
"""
