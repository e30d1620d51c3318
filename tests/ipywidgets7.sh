#!/usr/bin/env bash
# Runs the tests of widgets and two lessons with ipywidgets 7.7, the version that Colab has.
# Usage: tests/ipywidgets7.sh [words for pytest]; PYTHON names the environment with the kit in it.
# The environment it makes, .venv/ipywidgets7, holds ipywidgets 7.7 only and sees the other packages
# of the kit's environment behind it, so nothing else is installed or changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-.venv/bin/python}
folder=${IPYWIDGETS7:-.venv/ipywidgets7}
if [ ! -e "$folder/ready" ]; then
    "$python" -m venv --clear --without-pip "$folder"
    site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$python" -m pip install -q --no-deps --target "$site" \
        "ipywidgets==7.7.1" "widgetsnbextension<4" "jupyterlab-widgets<3" ipython_genutils
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/kit.pth"
    touch "$folder/ready"
fi
"$folder/bin/python" -c '
import ipywidgets
assert ipywidgets.__version__.startswith("7.7."), ipywidgets.__version__
print("ipywidgets", ipywidgets.__version__, "from", ipywidgets.__file__)'
if [ $# -eq 0 ]; then
    set -- -q tests/teaching/test_widgets.py tests/test_notebooks.py -k "test_widgets or solved or sweep"
fi
exec "$folder/bin/python" -m pytest "$@"
