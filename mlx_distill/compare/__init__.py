"""Comparing: what base and distilled answered, judged."""

from mlx_distill.compare.cost import most_usd
from mlx_distill.compare.judge import Count, count_questions
from mlx_distill.compare.pairwise import judge_pairs
from mlx_distill.compare.rubric import judge_alone
from mlx_distill.compare.static import DIMENSIONS, MEASURED
from mlx_distill.compare.static import NAME as STATIC_JUDGE
from mlx_distill.compare.static import VERSION as STATIC_VERSION
from mlx_distill.compare.static import judge as static_judge
from mlx_distill.compare.votes import PEOPLE, read_votes, votes_table

__all__ = [
    "DIMENSIONS",
    "MEASURED",
    "PEOPLE",
    "STATIC_JUDGE",
    "STATIC_VERSION",
    "Count",
    "count_questions",
    "judge_alone",
    "judge_pairs",
    "most_usd",
    "read_votes",
    "static_judge",
    "votes_table",
]
