"""The product's dbt project over a town, with what a guard takes out of its macros."""

import shutil

from tests.integration.dbt.dbt_command import PROJECT, DbtProject

WITHOUT = {}
"""What a removed guard replaces in each macro's file, and by what."""


def project_over(database, directory):
    """The project itself; a copy in the directory when something is taken out of it."""
    if not WITHOUT:
        return DbtProject(database, directory)
    copy = directory / "dbt"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    for name, (old, new) in WITHOUT.items():
        macro = copy / "macros" / name
        text = macro.read_text()
        assert old in text
        macro.write_text(text.replace(old, new))
    return DbtProject(database, directory, copy)
