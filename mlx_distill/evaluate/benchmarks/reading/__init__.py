"""Reading an answer as a careful person would: where it stands in a text, which signs it is written with, its value.

In: texts. Out: `final` finds the answer, `signs` writes it plainly, `quantity` reads a number with its unit, and
`sameness` says whether two answers are the same. Text is never left out unread: what cannot be read is not equal.
"""
