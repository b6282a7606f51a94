"""Statistics of paired comparisons: intervals, tests, effect sizes, agreement. Numbers in, numbers out."""
