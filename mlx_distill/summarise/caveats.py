"""What a reader must know before believing a scorecard.

In: what was compared, and how. Out: sentences, the gravest first, shown wherever the scorecard is.
"""

from __future__ import annotations

from mlx_distill.evaluate.judges import PEOPLE, STATIC_JUDGE
from mlx_distill.models.teachers import family
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.run.config import Config
from mlx_distill.run.records import MODELS
from mlx_distill.run.results.comparison import Comparison
from mlx_distill.run.wording import estimate, plural
from mlx_distill.summarise.form import packages_words

LEAKAGE = "which favours students of that family (preference leakage, arXiv 2502.01534)"
FICKLE = 0.8
"""Below this share of equal answers in both orders, order decides too much."""


def caveats(config: Config, comparison: Comparison) -> tuple[str, ...]:
    return (
        *_about_strength(config.comparison.strength),
        *_about_teacher(comparison),
        *_about_judges(config, comparison),
        *_about_preferences(comparison),
        *_about_answers(comparison),
        *_about_gaps(comparison),
    )


def _about_strength(strength: float) -> list[str]:
    if strength == 0:
        return ["Strength 0 is the base: this compares it with itself, and any difference that is shown is false."]
    return [f"The distilled model answered with its adapter at strength {strength:g} of 1."] if strength != 1 else []


def _about_teacher(comparison: Comparison) -> list[str]:
    if "teacher" in comparison.roles:
        return []
    return ["No teacher answered the test prompts: base and distilled are compared alone."]


def _about_judges(config: Config, comparison: Comparison) -> list[str]:
    sentences = []
    judges, models = list(comparison.judges), comparison.teacher_models
    people = [judge for judge in judges if judge.startswith(PEOPLE)]
    judges = [judge for judge in judges if judge not in people]
    others = [judge for judge in judges if judge != STATIC_JUDGE]
    if STATIC_JUDGE in judges and others:
        sentences.append(f"The scores are the mean of static analysis and {plural(len(others), 'LLM judge')}.")
    elif STATIC_JUDGE in judges:
        sentences.append("The scores are static analysis, not an LLM: they measure the code, not its taste.")
    if people and others:
        named = f"{plural(len(others), 'model')} and {plural(len(people), 'human judge')}"
        sentences.append(f"The preference is the mean of {named}, each with the same weight.")
    if "teacher" in comparison.roles and traits_of(config.teacher.spec).kind in ("recorded", "traces"):
        sentences.append(f"The teacher's answers are recorded ({', '.join(models)}), not live API output.")
    for judge in judges:
        if judge in (config.teacher.spec, *models):
            sentences.append(f"The judge {judge} is the teacher itself: it scores what it taught.")
        elif family(judge) and family(judge) in {family(model) for model in models}:
            sentences.append(f"Judge and teacher are of one family ({family(judge)}), {LEAKAGE}.")
        if family(judge) and family(judge) == family(config.training.student):
            sentences.append(
                f"Judge and student are of one family ({family(judge)}), which judges are known to favour."
            )
    return list(dict.fromkeys(sentences))


def _about_preferences(comparison: Comparison) -> list[str]:
    sentences = []
    for entry in [comparison.primary] if comparison.primary else []:
        for judge in entry.judges:
            same = judge.swap_consistency
            if same is not None and same.mean < FICKLE:
                sentences.append(
                    f"{judge.judge} said another thing when the order was changed in {1 - same.mean:.0%} of the "
                    "pairs (counted as ties): its preferences are weak evidence."
                )
        adjusted = entry.adjusted
        if adjusted and entry.verdict in ("better", "worse") and adjusted.spans_zero:
            sentences.append(
                "The preference cannot be told from one for length and Markdown: adjusted for both, it is "
                f"{estimate(adjusted, sign='+')}."
            )
    return sentences


def _about_answers(comparison: Comparison) -> list[str]:
    sentences = []
    for role, answers in comparison.answers.items():
        whose = f"answers of the {role}{' model' if role in MODELS else ''}"
        if answers.cut_off:
            sentences.append(f"{answers.cut_off} of {answers.count} {whose} were cut at the token cap.")
        if answers.loops:
            loops = "ends" if answers.loops == 1 else "end"
            sentences.append(
                f"{answers.loops} of {answers.count} {whose} {loops} in a loop, the same words again and again."
            )
    return sentences


def _about_gaps(comparison: Comparison) -> list[str]:
    sentences = []
    unscored = comparison.unscored
    kinds = (("answers", unscored.answers, comparison.judgments), ("pairs", unscored.pairs, comparison.pairs_judged))
    for kind, count, of in kinds:
        if count:
            sentences.append(f"{count} of {of} judgments of {kind} are unscored, and left out.")
    checks = comparison.checks
    refused = sum(role.refused for role in checks.roles.values())
    if not_run := sum(role.not_run for role in checks.roles.values()) - refused:
        sentences.append(f"{not_run} executed checks were not run, for want of a sandbox on this machine.")
    if refused:
        sentences.append(f"{refused} executed checks could not be run: the sandbox lacks what the answers use.")
    sentences += packages_words(checks.packages)
    if "none" in checks.sandbox:
        sentences.append(
            "Models' code was run without a sandbox, as --unsandboxed allows: it could have forged its results."
        )
    return sentences
