"""IFEval: prompts with instructions that a program can check (Zhou et al. 2023, arXiv 2311.07911).

In: rows of the published prompts, and answers. Out: whether each answer follows its instructions. No judge is asked,
so it measures obedience and not whether an answer is any good.
"""

from mlx_distill.evaluate.benchmarks.benchmark import Benchmark, Source
from mlx_distill.evaluate.benchmarks.ifeval.items import read
from mlx_distill.evaluate.benchmarks.ifeval.marking import accuracies, score

__all__ = ["IFEVAL", "accuracies"]

DEVIATIONS = (
    "Languages are recognised with langdetect as published, but from a fixed seed and with its languages in a fixed "
    "order: the published checker draws at random, so that short answers, and those in capitals, can change sides.",
    "An answer in which langdetect finds no letters counts as being in the language, as in the published checker.",
    "Sentences and words in capitals are found by code of our own that follows NLTK 3.9 (Punkt with its English model, "
    "Treebank words). The authors did not fix NLTK's version; from 3.10 on it differs at curly quotes and long dashes.",
    "For the language, sentences and words in capitals only the first 30,000 characters of an answer are looked at.",
    "Prompts 1122 and 1129 ask for the characters # and !, which are counted; the checker of 2023 put a random letter "
    "in their place.",
    "JSON that is nested too deeply for Python's parser is not JSON; the published checker breaks off.",
)

IFEVAL = Benchmark(
    name="ifeval",
    title="IFEval",
    capability="instruction following",
    source=Source("google/IFEval", "966cd89545d6b6acfd7638bc708b98261ca58e84", split="train"),
    columns=(frozenset({"prompt", "instruction_id_list", "kwargs"}),),
    size=541,
    max_tokens=1280,
    scorer="ifeval 2",
    read=read,
    score=score,
    deviations=DEVIATIONS,
)
