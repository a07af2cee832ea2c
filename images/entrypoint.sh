#!/usr/bin/env bash
# What every container of this image starts with: installs EXTRA_PIP_PACKAGES, then becomes the command that it was given.
# Without a command it becomes a shell. All it says itself goes to standard error.
set -euo pipefail

environment=/opt/envs/penstock

# A user that the image does not know (OpenShift, `--user`) has no name, and may have no home that it can write to.
id -un >/dev/null 2>&1 || export USER="${USER:-penstock}"
if [ ! -w "${HOME:-/}" ]; then
  HOME=$(mktemp -d)
  export HOME
fi

if [ -f /opt/conda/etc/profile.d/conda.sh ]; then
  set +u # conda's scripts use variables that are not there
  # shellcheck disable=SC1091
  . /opt/conda/etc/profile.d/conda.sh
  conda activate "$environment"
  set -u
fi

install_packages() {
  local installer packages target log code=0 culprit
  set -f # a package with an extra, as in name[extra], is no pattern
  # shellcheck disable=SC2206
  packages=($EXTRA_PIP_PACKAGES)
  set +f
  if command -v uv >/dev/null; then
    installer=(uv pip install --python "$environment/bin/python")
  else
    installer=(python -m pip install --progress-bar off --root-user-action ignore)
  fi
  if [ ! -w "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" ]; then
    target=$(mktemp -d)
    installer+=(--target "$target")
    export PYTHONPATH="$target${PYTHONPATH:+:$PYTHONPATH}"
    export PATH="$target/bin:$PATH"
  fi
  echo "+ ${installer[*]} ${packages[*]}" | sed -E 's#://[^/@ ]+@#://****@#g' >&2
  log=$(mktemp)
  "${installer[@]}" "${packages[@]}" 2>&1 | tee "$log" >&2 || code=$?
  if [ "$code" != 0 ]; then
    # the package that pip or uv could not find or build, where their words name one
    culprit=$(sed -nE 's/^.*(No matching distribution found for|Could not find a version that satisfies the requirement|Failed to build|because) `?([A-Za-z0-9][^ `(]*).*$/\2/p' "$log" | tail -n 1)
    echo "penstock: EXTRA_PIP_PACKAGES: ${culprit:-${packages[*]}} could not be installed (exit code $code), so nothing was started." |
      sed -E 's#://[^/@ ]+@#://****@#g' >&2
    exit "$code"
  fi
  rm -f "$log"
}

if [ -n "${EXTRA_PIP_PACKAGES:-}" ]; then
  install_packages
fi

if [ $# = 0 ]; then
  echo "Penstock $(penstock --version), $(python --version) in $environment. \`penstock --help\` shows the commands." >&2
  exec bash
fi
exec "$@"
