#!/usr/bin/env bash
# Prints the path of Chromium or Chrome; installs Debian's Chromium where root may do so.
set -euo pipefail
find_chromium() {
    local name
    for name in "${TORCHMELINV_CHROMIUM:-chromium}" chromium-browser google-chrome-stable google-chrome; do
        command -v "$name" && return 0
    done
    return 1
}
find_chromium && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "no Chromium found, and only root on a system with apt-get can install it here" >&2
    exit 1
fi
if ! { apt-get update && apt-get install --yes --no-install-recommends chromium; } >&2; then
    echo "apt-get could not install Chromium" >&2
    exit 1
fi
find_chromium
