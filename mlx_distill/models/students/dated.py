"""Chat templates that print the date, on a date of ours.

In: a template, a moment. Out: the template with `strftime_now` as a macro of its own, which goes before transformers'
function of that name: that takes the clock, and values given to a template can be no functions.
"""

from __future__ import annotations

from datetime import datetime

NAME = "strftime_now"
DIRECTIVES = [f"%-{letter}" for letter in "dmyHIMSjU"] + [
    f"%{letter}" for letter in "aAbBcdDeFhHIjklmMnpPrRSTuUVwWxXyYZz"
]


def dated(template: str, moment: datetime) -> str:
    """Unchanged where it prints no date."""
    if NAME not in template:
        return template
    replaced = "".join(f" | replace({directive!r}, {moment.strftime(directive)!r})" for directive in DIRECTIVES)
    macro = f"{{%- macro {NAME}(format) -%}}{{{{ format{replaced} }}}}{{%- endmacro %}}"
    return f"{macro}{{{{ '' }}}}{template}"  # what stands between keeps a line break that begins the template
