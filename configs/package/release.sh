#!/usr/bin/env bash
# release.sh [DIR]: an archive for each of ARCHES (default amd64 and arm64) with the static programs, the configurations and
# the documentation, and SHA256SUMS, into DIR (default dist). The same commit gives the same bytes.
set -euo pipefail
dist=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/../.."
eval "$(configs/package/version.sh)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$dist"
rm -f "$dist"/pagegate-*.tar.gz "$dist/SHA256SUMS"
for arch in ${ARCHES:-amd64 arm64}; do
    name=pagegate-$VERSION-linux-$arch
    mkdir -p "$work/$name"
    configs/package/build.sh "$arch" "$work/$name"
    cp -r README.md LICENSE CHANGELOG.md docs "$work/$name/"
    mkdir "$work/$name/configs" "$work/$name/nginx"
    cp -r configs/*.yaml configs/default configs/init.d configs/systemd configs/kubernetes "$work/$name/configs/"
    cp nginx/*.conf nginx/*.txt nginx/README.md "$work/$name/nginx/"
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode='u+rwX,go+rX,go-w' --mtime="@$SOURCE_DATE_EPOCH" \
        --format=gnu -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
done
(cd "$dist" && sha256sum pagegate-*.tar.gz >SHA256SUMS && cat SHA256SUMS)
