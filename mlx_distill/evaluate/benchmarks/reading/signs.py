r"""One plain way of writing: an answer's Unicode signs, LaTeX dressing and Markdown, as plain LaTeX.

In: an answer, e.g. "**–½ km²**", "\textcolor{red}{6}". Out: "-\frac{1}{2} km^2", "6". The meaning stays: a sign is
replaced by the LaTeX that says the same, and only what changes the looks is taken away. Words of \text{…} stand bare.
"""

from __future__ import annotations

import re
import unicodedata

from mlx_distill.evaluate.benchmarks.reading.numerals import listed

SIGNS = {
    "°º˚": r"^\circ ",
    "∞": r"\infty ",
    "∪⋃": r"\cup ",
    "∩⋂": r"\cap ",
    "∈": r"\in ",
    "∅⌀": r"\emptyset ",
    "≤⩽≦": r"\le ",
    "≥⩾≧": r"\ge ",
    "≠": r"\ne ",
    "≈≃≅": r"\approx ",
    "≡": r"\equiv ",
    "×✕✖": r"\times ",
    "÷": r"\div ",
    "·⋅∙": r"\cdot ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "π": r"\pi ",
    "√": r"\sqrt",
    "∠": r"\angle ",
    "△": r"\triangle ",
    "⊥": r"\perp ",
    "⟨〈": r"\langle ",
    "⟩〉": r"\rangle ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℕ": r"\mathbb{N}",
    "ℂ": r"\mathbb{C}",
    "→": r"\to ",
    "−–—‒‐‑﹣－⁃": "-",
    "⁄∕": "/",
    "∶": ":",
    "∗": "*",
    "“”„‟": '"',
    "‘’‚‛": "'",
    "′": "'",
    "″": '"',
    "\u200b\u200c\u200d\u2060\ufeff\u00ad": "",
}
TABLE = {ord(sign): latex for signs, latex in SIGNS.items() for sign in signs}
TABLE |= {
    ord(unicodedata.lookup(f"GREEK SMALL LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")): rf"\{name} "
    for name in listed("alpha beta gamma delta epsilon theta lambda mu rho sigma tau phi omega")
}

RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ", "0123456789+-=()n", strict=True))
RAISED_RUN, LOWERED_RUN = re.compile(f"[{''.join(RAISED)}]+"), re.compile(f"[{''.join(LOWERED)}]+")
VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")
OVERLINED = re.compile("((?:[0-9][\u0305\u0304\u0307])+)")
ROOT = re.compile(r"\\sqrt\s*([0-9]+|[a-zA-Z](?![a-zA-Z]))")


def _unicode(text: str) -> str:
    """NFKC, and before it what NFKC would lose: x² would become x2, and 4½ become 41/2."""
    if text.isascii():
        return text
    text = RAISED_RUN.sub(lambda run: f"^{{{''.join(RAISED[sign] for sign in run[0])}}}", text)
    text = LOWERED_RUN.sub(lambda run: f"_{{{''.join(LOWERED[sign] for sign in run[0])}}}", text)
    text = VULGAR.sub(_vulgar, text)
    text = OVERLINED.sub(lambda run: rf"\overline{{{run[1][::2]}}}", text)
    text = text.translate(TABLE)
    return ROOT.sub(r"\\sqrt{\1}", unicodedata.normalize("NFKC", text).translate(TABLE))


def _vulgar(sign: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", sign[0]).partition("⁄")
    return rf"\frac{{{over}}}{{{under}}}"


# ---------------------------------------------------------------- LaTeX

WORDS = "text textbf textit textrm textsf texttt textnormal textup emph mathrm mathbf mathit mathsf mathtt mathnormal"
HOLDS = frozenset((WORDS + " boldsymbol bm pmb mbox hbox underline operatorname ensuremath boxed fbox").split())
"""Commands that show their content, only otherwise."""

SILENT = re.compile(
    r"\\(?:left|right)\s*\.|\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|large|Large|LARGE|"
    r"huge|small|normalsize|bf|it|rm|sf|tt|bfseries|itshape|rmfamily|boldmath|nonumber|therefore)(?![a-zA-Z])|"
    r"\\(?:color|hspace\*?|vspace\*?|tag\*?|label|phantom|hphantom|vphantom)\s*\{[^{}]*\}|\\!\s*"
)
COLOUR = re.compile(r"\\(?:textcolor|colorbox|fcolorbox\s*\{[^{}]*\})\s*(?:\[[^\]]*\])?\s*\{[^{}]*\}\s*(?=\{)")
SPACE = re.compile(r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace|hfill|newline)(?![a-zA-Z])|(?<!\\)~|\s+")
LINE_END = re.compile(r"\\\\\s*\[[^\[\]]*\]")

SPELLINGS = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:leq|leqslant)(?![a-zA-Z])|<="), r"\\le "),
    (re.compile(r"\\(?:geq|geqslant)(?![a-zA-Z])|>="), r"\\ge "),
    (re.compile(r"\\neq(?![a-zA-Z])|!="), r"\\ne "),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"\\(?:langle|lparen)(?![a-zA-Z])"), "("),
    (re.compile(r"\\(?:rangle|rparen)(?![a-zA-Z])"), ")"),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\(?:imath|jmath)(?![a-zA-Z])"), "i"),
    (re.compile(r"\\[lc]?dots[cbo]?(?![a-zA-Z])"), "..."),
    (re.compile(r"\\text(?:dollar|degree)(?![a-zA-Z])"), lambda sign: r"\$" if "dollar" in sign[0] else r"^\circ "),
    (re.compile(r"\s*(?:\^\s*\{\s*\\circ\s*\}|\^?\s*\\degree(?![a-zA-Z])|\^\s*\\circ(?![a-zA-Z]))"), r"^\\circ "),
    (re.compile(r"\\%|%"), r"\\%"),
    (re.compile(r"(?<![a-zA-Z\\])(?:infinity|inf)(?![a-zA-Z])"), r"\\infty "),
    (re.compile(r"(?<![a-zA-Z\\])pi(?![a-zA-Z])"), r"\\pi "),
    (re.compile(r"(?<![a-zA-Z\\])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\+/?-"), r"\\pm "),
    (re.compile(r"\^-\s*([0-9]+)"), r"^{-\1}"),
)
"""Of what is written in several ways, one."""

NAMED = listed("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen")
BASE = re.compile(
    r"\s*(?:_\s*\{?\s*(?:base\s*)?|\(?\s*(?:in\s+)?base[\s-]*_?\{?)(" + "|".join(NAMED) + r"|[0-9]+)\s*\}?\)?"
    r"(?![a-zA-Z0-9])",
    re.IGNORECASE,
)
MARKDOWN = re.compile(r"\*\*|__|`|^\s*\*(?=[^*\n]+\*\s*$)|(?<=\w)\*\s*$")
GROUPED = re.compile(r"(?<=[0-9])(?:\{,\}|,\\!)\s*(?=[0-9]{3})")
COMMAND = re.compile(r"\\([a-zA-Z]+)\*?\s*(?=\{)")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def close_of(text: str, start: int) -> int | None:
    """Where the group that is open at `start` ends: the position of its brace. None where it stays open."""
    depth = 1
    for brace in BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return brace.start()
    return None


def _undressed(text: str) -> str:
    r"""\mathbf{6} is 6. Content of several letters is set off by spaces: \text{cm} is a word and no product."""
    position = 0
    while (command := COMMAND.search(text, position)) is not None:
        start = command.end() + 1
        end = close_of(text, start) if command[1] in HOLDS else None
        position = command.end()
        if end is not None:
            content = text[start:end]
            padding = " " if re.search("[a-zA-Z]{2}|[a-zA-Z] |^ | $", content) else ""
            text = f"{text[: command.start()]}{padding}{content}{padding}{text[end + 1 :]}"
            position = command.start()
    return text


def _ungrouped(text: str) -> str:
    """Without braces that hold nothing together: {6} is 6, but x^{6} and a command's arguments keep theirs."""
    opens: list[int | None] = []
    dropped = set()
    for brace in BRACE.finditer(text):
        if brace[0] == "{":
            before = text[: brace.start()].rstrip()
            held = before.endswith(("^", "_", "}", "]")) or re.search(r"\\[a-zA-Z]+\*?$|\\frac\s*\w$", before)
            opens.append(None if held else brace.start())
        elif brace[0] == "}" and opens and (start := opens.pop()) is not None:
            dropped |= {start, brace.start()}
    return "".join(character for position, character in enumerate(text) if position not in dropped)


def _base(match: re.Match[str]) -> str:
    name = match[1].lower()
    return f"_{{{NAMED.index(name) if name in NAMED else name}}}"


def _undelimited(text: str) -> str:
    r"""Without the signs that open and close mathematics; a $ before a number that none closes is a currency."""
    text = re.sub(r"\\[()\[\]](?!\s*$)|\\[()\[\]]", " ", text) if re.search(r"\\[(\[]", text) else text
    signs = list(re.finditer(r"(?<!\\)\$", text))
    if len(signs) % 2 and re.match(r"\$\s*[-+0-9.]", text[signs[0].start() :]):
        text = text[: signs[0].start()] + r"\$" + text[signs[0].end() :]
    return re.sub(r"(?<!\\)\$", " ", text)


def plain(text: str) -> str:
    """The answer in its one way of writing. Linear in practice; give it an answer, not a book."""
    text = re.sub(r"(?:(?<=\$)|(?<=\\[)\]]))[\s*]*[.,;:]+[\s*]*$", "", text)  # the end of a sentence, not of 0.33...
    text = re.sub(r"\\\\\s*(?=\$)", " ", text)
    text = _undelimited(MARKDOWN.sub("", LINE_END.sub(r"\\\\ ", _unicode(GROUPED.sub("", text)))))
    text = _undressed(COLOUR.sub("", SILENT.sub("", text)))
    text = SPACE.sub(" ", text)
    for pattern, spelling in SPELLINGS:
        text = pattern.sub(spelling, text)
    if "base" in text or "_" in text:
        text = BASE.sub(_base, text) if re.match(r"^[\s(]*[0-9]", text) else text
    return trimmed(" ".join(_ungrouped(text).split()))


def trimmed(text: str) -> str:
    """Without white space, line ends and points around it; an ellipsis stays."""
    text = re.sub(r"(?:\\\\\s*)+$", "", text.strip()).strip(" \n;,:")
    text = re.sub(r"\.{4,}$", "...", text)
    return text if text.endswith("..") else text.rstrip(" .;,")
