"""Names the packages; all else stands in pyproject.toml.

A new room or lesson is found here by its folder.  data/ of the checkout is installed as
distillkit/data.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["distillkit", "distillkit.*"]), "distillkit.data"])
