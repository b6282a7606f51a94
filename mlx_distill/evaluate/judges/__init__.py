"""Comparing: what base and distilled answered, judged."""

from mlx_distill.evaluate.judges.cost import most_usd
from mlx_distill.evaluate.judges.pairwise import judge_pairs
from mlx_distill.evaluate.judges.questions import Count, count_questions
from mlx_distill.evaluate.judges.rubric import judge_alone
from mlx_distill.evaluate.judges.static import MEASURED
from mlx_distill.evaluate.judges.static import NAME as STATIC_JUDGE
from mlx_distill.evaluate.judges.static import VERSION as STATIC_VERSION
from mlx_distill.evaluate.judges.static import judge as static_judge
from mlx_distill.evaluate.judges.votes import PEOPLE, read_votes, votes_table

__all__ = [
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
