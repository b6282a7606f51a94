"""Distil a large teacher model into a small student, and find out honestly whether it got better.

Start reading at `pipeline/__init__.py`: the stages in order, and the file each one leaves in the run directory.
"""

__version__ = "0.2.0"
