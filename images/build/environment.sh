#!/bin/sh
# The Python environment that Penstock lives in, /opt/envs/penstock: one of conda's where the base has conda. As root, while the image is built.
set -eu
umask 002

if command -v conda >/dev/null; then
  conda config --system --prepend envs_dirs /opt/envs
  conda create --yes --quiet --name penstock "python=$PYTHON_VERSION" pip
  conda clean --all --force-pkgs-dirs --yes >/dev/null
else
  python3 -m venv /opt/envs/penstock
fi
chown -R 1000:0 /opt/envs
chmod -R g+rwX /opt/envs

has=$(/opt/envs/penstock/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$has" != "$PYTHON_VERSION" ]; then
  echo "The base has Python $has and PYTHON_VERSION is $PYTHON_VERSION: give another BASE_IMAGE or another PYTHON_VERSION." >&2
  exit 1
fi
