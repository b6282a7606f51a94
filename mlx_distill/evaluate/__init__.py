"""Base and distilled answer, their answers are scored (judges, execution, benchmarks), and a checkpoint is chosen.

In: prompts and benchmark items, the student, its adapter. Out: generations, judgments, preferences, scores, selection.
"""
