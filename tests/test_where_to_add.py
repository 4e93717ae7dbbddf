"""The steps of docs/architecture.md, "Where to add", followed on copies of the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from model_recipes import MODEL_RECIPES
from part_recipes import PART_RECIPES
from scratch import Scratch

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text()
MAX_STEPS = 4
PARTS = PAGE.partition("\n## Where to add\n")[2].partition("\n## ")[0].split("\n### ")[1:]
STEPS = {
    title: re.findall(r"^\d\. (.*(?:\n   .*)*)", text, re.MULTILINE)
    for title, _, text in (part.partition("\n") for part in PARTS)
}
RECIPES = (*MODEL_RECIPES, *PART_RECIPES)
FILES = [
    (recipe, file)
    for recipe in RECIPES
    for file in dict.fromkeys(edit.file for edit in recipe.steps)
]


def follow(recipe, folder, *, without=None):
    """Follows a recipe on a copy in `folder`, without one file's steps; runs its program."""
    scratch = Scratch(folder)
    for edit in recipe.steps:
        if edit.file != without:
            scratch.apply(edit)
    return scratch.run(recipe.program)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
def test_the_steps_are_enough(recipe, tmp_path):
    done = follow(recipe, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("recipe", "file"), FILES, ids=[f"{recipe.title}: {file}" for recipe, file in FILES]
)
def test_no_step_can_be_left_out(recipe, file, tmp_path):
    done = follow(recipe, tmp_path, without=file)
    assert done.returncode == 1, "it works without"
    assert "Error" in done.stderr


@pytest.mark.parametrize(
    ("recipe", "file"), FILES, ids=[f"{recipe.title}: {file}" for recipe, file in FILES]
)
def test_the_page_names_every_file_that_has_to_change(recipe, file):
    named = re.findall(r"`([\w./]+)", " ".join(STEPS[recipe.title]))
    assert any(file == name or (name.endswith("/") and file.startswith(name)) for name in named)


def test_every_addition_is_followed():
    assert [recipe.title for recipe in RECIPES] == list(STEPS)


@pytest.mark.parametrize("title", STEPS)
def test_every_addition_takes_at_most_four_steps(title):
    assert 0 < len(STEPS[title]) <= MAX_STEPS
