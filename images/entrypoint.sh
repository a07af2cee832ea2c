#!/usr/bin/env bash
# What every container of this image starts with: installs EXTRA_PIP_PACKAGES, then becomes the command that it was given.
# Without a command it becomes a shell. All it says itself goes to standard error.
set -euo pipefail

environment=/opt/envs/penstock

# A user that the image does not know (OpenShift, `--user`) has no name, and may have no home that it can write to.
id -un >/dev/null 2>&1 || export USER="${USER:-penstock}"
# Where nothing at all can be written to (a read-only root without a /tmp), the command makes do without one.
if [ ! -w "${HOME:-/}" ] && home=$(mktemp -d 2>/dev/null); then
  export HOME="$home"
fi

if [ -f /opt/conda/etc/profile.d/conda.sh ]; then
  set +u # conda's scripts use variables that are not there
  # shellcheck disable=SC1091
  . /opt/conda/etc/profile.d/conda.sh
  conda activate "$environment"
  set -u
fi

# It ends with this where another try would come to the same. Penstock's server knows it, and the words that come with it.
not_to_be_had=65

# What of pip's log says that an address could not be asked; one that does not have a page has answered.
unanswered() {
  sed -nE 's/^.*(Could not fetch URL .*) - skipping$/\1/p' "$1" | grep -vE ': 4(04|10) [^:]*:' | tail -n 1
}

# Whether pip or uv says that there is no such thing, or that nobody understands what was asked for.
is_refused() {
  grep -qE 'No matching distribution found for|Invalid requirement|no such option|ResolutionImpossible|No solution found when resolving|Failed to parse|unexpected argument' "$1"
}

install_packages() {
  local installer packages target said details code=0 culprit words
  set -f # a package with an extra, as in name[extra], is no pattern
  # shellcheck disable=SC2206
  packages=($EXTRA_PIP_PACKAGES)
  set +f
  said=$(mktemp)
  details=$(mktemp)
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
  echo "+ ${installer[*]} ${packages[*]}" | without_logins >&2
  # which addresses did not answer is said in pip's own log alone
  PIP_LOG="$details" "${installer[@]}" "${packages[@]}" 2>&1 | tee "$said" >&2 || code=$?
  if [ "$code" != 0 ]; then
    # the package that pip or uv could not find or build, where their words name one
    culprit=$(sed -nE 's/^.*(No matching distribution found for|Could not find a version that satisfies the requirement|Failed to build|no version of) `?([A-Za-z0-9][^ `(]*).*$/\2/p; s/^.*[Bb]ecause ([^ ]+) was not found .*$/\1/p' "$said" | tail -n 1)
    words=$(unanswered "$details") || words=
    if [ -z "$words" ]; then
      words=$(sed -nE 's/^(ERROR|error|  cause): *//p; s/^no such option/&/p; s/^[ ×╰─▶]*(Because .*)$/\1/p' "$said" | tail -n 1)
      ! is_refused "$said" || code=$not_to_be_had
    fi
    rm -f "$said" "$details"
    echo "penstock: EXTRA_PIP_PACKAGES: ${culprit:-${packages[*]}} cannot be installed, so nothing was started${words:+: $words}" |
      without_logins >&2
    exit "$code"
  fi
  rm -f "$said" "$details"
}

without_logins() {
  sed -E 's#://[^/@ ]+@#://****@#g'
}

if [ -n "${EXTRA_PIP_PACKAGES:-}" ]; then
  install_packages
fi

if [ $# = 0 ]; then
  echo "Penstock $(penstock --version), $(python --version) in $environment. \`penstock --help\` shows the commands." >&2
  exec bash
fi
exec "$@"
