#!/bin/sh
# What the image needs of its system: packages, a user, folders. As root, while the image is built.
set -eu

missing=""
for package in $SYSTEM_PACKAGES; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
if [ -n "$missing" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # shellcheck disable=SC2086
  apt-get install --yes --no-install-recommends $missing
  rm -rf /var/lib/apt/lists/*
fi

# A base may have a user with that number already; then that one it is.
if ! getent passwd 1000 >/dev/null; then
  useradd --uid 1000 --gid 0 --no-create-home --home-dir /home/penstock --shell /bin/bash penstock
fi
for folder in /home/penstock /home/penstock/.penstock /opt/penstock /opt/penstock/flows /opt/envs; do
  mkdir -p "$folder"
  chown 1000:0 "$folder"
  chmod 0775 "$folder"
done
