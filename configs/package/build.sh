#!/usr/bin/env bash
# build.sh ARCH DIR [FOLDER...]: the programs of those folders, by default all three, for linux/ARCH (amd64, arm64 ...) into DIR, under
# the names that they have on a system (pagegate-...). They are static, know their version, and come out the same, byte by
# byte, wherever the tree lies.
set -euo pipefail
arch=$1 dir=$(realpath -m "$2")
shift 2
[[ $# -gt 0 ]] || set -- cacheserver filler gateway
cd "$(dirname "$0")/../.."
eval "$(configs/package/version.sh)"

at=pagegate/internal/version
mkdir -p "$dir"
for program; do
    CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOFLAGS='' ${GO:-go} build -trimpath -buildvcs=false \
        -ldflags "-s -w -buildid= -X $at.number=$VERSION -X $at.commit=$COMMIT -X $at.date=$DATE" \
        -o "$dir/pagegate-${program##*/}" "./$program"
done
