import pytest

from mlx_distill.checks.code import code_of, parts

TEXT = "a\n```python\nx = 1\n```\nb\n```sql\nSELECT 1\n```\n```\ny = 2\n```\n"


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        (TEXT, "python", "x = 1\n"),
        (TEXT, "sql", "SELECT 1\n"),
        ("```PY title=x\nx = 1\n```\n```py\nz = 3\n```", "python", "x = 1\n\nz = 3\n"),
        ("~~~python\nx = '```'\n~~~", "python", "x = '```'\n"),
        ("```\ny = 2\n```", "python", "y = 2\n"),
        ("```\ny = 2", "python", "y = 2"),
        ("```javascript\ny = 2\n```", "python", ""),
        ("no code", "python", ""),
    ],
)
def test_code_is_found_by_its_language_and_an_unclosed_block_counts(text: str, language: str, code: str) -> None:
    assert code_of(text, language) == code


def test_prose_is_what_stands_outside_of_the_blocks() -> None:
    assert parts(TEXT).prose == "a\nb"
