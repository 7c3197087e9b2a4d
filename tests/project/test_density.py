"""The measures of density are counted right."""

import ast

from tests.project.density import find_complexity, measure

SMALL = '''"""A docstring of
two lines."""
# a comment

names = [name for name in "ab"]


def f(x):
    """Another docstring."""
    return 1 if x else 2
'''
WIDE = f"x = '{'y' * 96}'\n"

BRANCHES = """
def f(x):
    if x and not x:
        pass
    elif x:
        pass
    else:
        pass
    for y in x:
        pass
    else:
        pass
    while x:
        pass
    try:
        pass
    except ValueError:
        pass
    except OSError:
        pass
    else:
        pass
    match x:
        case 1:
            pass
        case 2:
            pass
    with x:
        pass

    def g():
        return [z for z in x if z]

    return lambda: 1 if x else 2
"""


def test_a_small_text_is_counted() -> None:
    """Tokens, code lines and expressions of a text are those that a person counts in it."""
    density = measure(SMALL)
    # two docstrings; names = [name for name in "ab"]; def f(x): return 1 if x else 2
    assert density.tokens == 2 + 9 + 6 + 6
    assert density.code_lines == 3
    assert density.lines == 10
    assert (density.comprehensions, density.conditionals) == (1, 1)
    assert (density.wide_lines, measure(WIDE).wide_lines) == (0, 1)


def test_complexity_is_that_of_ruff() -> None:
    """Each branch counts once, as `ruff check --select C901` says of the same text: 11."""
    assert measure(BRANCHES).complex_functions == ["f"]
    function = ast.parse(BRANCHES).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert find_complexity(function) == 11


def test_a_row_is_per_hundred_lines() -> None:
    """One comprehension and one conditional expression in three lines are 33.3 in 100."""
    cells = measure(SMALL).row("small")
    assert cells == ["small", "1", "23", "3", "7.7", "33.3", "33.3", "0", "0.0"]
