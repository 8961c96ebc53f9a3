#!/usr/bin/env bash
# deb.sh [DIR]: Debian packages for ARCHES (default this machine's) into DIR (default dist). nfpm makes them from nfpm.yaml, in
# the version that nfpm.mod pins.
set -euo pipefail
dist=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/../.."
eval "$(configs/package/version.sh)"
export VERSION PROGRAMS ARCH DOCS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$dist"
DOCS=$work/docs
mkdir "$DOCS"
gzip -9nc CHANGELOG.md >"$DOCS/changelog.gz"
gzip -9nc docs/pagegate.7 >"$DOCS/pagegate.7.gz"
for ARCH in ${ARCHES:-$(${GO:-go} env GOARCH)}; do
    PROGRAMS=$work/$ARCH
    configs/package/build.sh "$ARCH" "$PROGRAMS"
    ${GO:-go} tool -modfile=configs/package/nfpm.mod nfpm package --config configs/package/nfpm.yaml --packager deb --target "$dist/"
done
