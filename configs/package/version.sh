#!/usr/bin/env bash
# Prints what a build is called, as lines for `eval`: VERSION (from a tag v1.2.3, else 0.0.0-dev.COMMITS.gHASH; "+changes" if
# files differ from the commit), COMMIT, DATE (of the commit, in UTC) and SOURCE_DATE_EPOCH (the same in seconds). What is set
# already stays: outside of a git tree VERSION and SOURCE_DATE_EPOCH have to be.
set -euo pipefail
cd "$(dirname "$0")/../.."

if git rev-parse --git-dir >/dev/null 2>&1; then
    commit=$(git rev-parse --short=12 HEAD)
    if ! version=$(git describe --tags --match 'v[0-9]*' --exact-match 2>/dev/null); then
        version=0.0.0-dev.$(git rev-list --count HEAD).g$commit
    fi
    git diff --quiet HEAD -- || version+=+changes
    epoch=$(git log -1 --format=%ct)
fi
VERSION=${VERSION:-${version:-}}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-${epoch:-}}
if [[ -z $VERSION || -z $SOURCE_DATE_EPOCH ]]; then
    echo "this is no git tree: set VERSION=1.2.3 and SOURCE_DATE_EPOCH=\$(date +%s)" >&2
    exit 1
fi
printf 'VERSION=%q\nCOMMIT=%q\nDATE=%q\nexport SOURCE_DATE_EPOCH=%q\n' \
    "${VERSION#v}" "${COMMIT:-${commit:-}}" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)" "$SOURCE_DATE_EPOCH"
