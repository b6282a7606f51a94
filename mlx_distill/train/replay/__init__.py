"""Replay: general prompts, answered by the student's own base, on which training holds the student near that base.

In: a prompt set, the base. Out: examples with the base's log-probabilities, those of each step, and how far the student
drifts. Divergence from the base instead of the loss on its answers: what is sampled once says little of all that the
base would have said, and training on it drifts too (Shenfeld et al. 2025, arXiv 2509.04259; Agarwal et al. 2024, arXiv
2306.13649 use the same divergences to distil).
"""
