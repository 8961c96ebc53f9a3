#!/usr/bin/env bash
# images.sh: sees to it that the engine has the images that Dockerfile and docker-compose.yml start from. Where no registry
# gives them, local stand-ins get their names: a Debian with the machine's own Go and the modules of go.sum, so that a build
# needs no network, and a Debian with its nginx. A stand-in is made anew when what is in it is out of date, and replaced by the
# real image when `docker pull` can get it. Needs root, or sudo, for debootstrap.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.."
export PATH="$PATH:/usr/sbin:/sbin"
go=${GO:-go}
suite=bookworm
label=pagegate.stand-in # its value is what the image was made of

golang=$(sed -n 's/^FROM \(golang:[^ ]*\).*/\1/p' Dockerfile)
nginx=$(sed -n 's/^ *image: \(nginx:.*\)$/\1/p' docker-compose.yml)
golang_made_of=$(cat "$self" go.mod go.sum "$($go env GOROOT)/VERSION" | sha256sum)
nginx_made_of=$(sha256sum <"$self")

# have IMAGE MADE_OF: the engine has the image, or the stand-in made of that.
have() {
    local made_of
    made_of=$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null) || return 1
    [[ -z $made_of || $made_of == "$2" ]]
}

# get IMAGE MADE_OF: as have, after a try to pull it.
get() { have "$@" || { timeout 180 docker pull --quiet "$1" >/dev/null 2>&1 && have "$@"; }; }

# becomes IMAGE MADE_OF FOLDER CHANGE...: the folder becomes the stand-in.
becomes() {
    local image=$1 made_of=$2 folder=$3 changes=() old
    shift 3
    old=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null) || true
    for change; do changes+=(--change "$change"); done
    "${root[@]}" tar -C "$folder" -c . | docker import --change "LABEL $label=\"$made_of\"" "${changes[@]}" - "$image" >/dev/null
    [[ -z $old ]] || docker rmi "$old" >/dev/null 2>&1 || true # unless something is still made of it
    echo "stand-in for $image made"
}

need=()
get "$golang" "$golang_made_of" || need+=("$golang")
get "$nginx" "$nginx_made_of" || need+=("$nginx")
[[ ${#need[@]} -gt 0 ]] || exit 0

echo "no registry gives ${need[*]}: making stand-ins of Debian $suite"
root=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || { echo "debootstrap needs root: run this as root, or install sudo" >&2; exit 1; }
    root=(sudo)
fi
work=$(mktemp -d)
trap '"${root[@]}" rm -rf "$work"' EXIT
chmod 755 "$work"

# One Debian for both; what the real images have besides is curl, and in Go's the certificates.
"${root[@]}" debootstrap --variant=minbase --include=ca-certificates,curl,nginx "$suite" "$work/debian" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    echo "debootstrap could not get Debian $suite" >&2
    exit 1
}
"${root[@]}" rm -rf "$work"/debian/var/cache/apt/archives "$work"/debian/var/lib/apt/lists

if [[ " ${need[*]} " == *" $nginx "* ]]; then
    becomes "$nginx" "$nginx_made_of" "$work/debian" 'CMD ["nginx", "-g", "daemon off;"]'
fi
if [[ " ${need[*]} " == *" $golang "* ]]; then
    GOMODCACHE=$work/modules GOFLAGS=-modcacherw GOPROXY="file://$($go env GOMODCACHE)/cache/download,$($go env GOPROXY)" $go mod download
    "${root[@]}" mkdir -p "$work/debian/go/pkg/mod"
    "${root[@]}" mv "$work/modules/cache" "$work/debian/go/pkg/mod/"
    "${root[@]}" cp -r "$($go env GOROOT)" "$work/debian/usr/local/go"
    becomes "$golang" "$golang_made_of" "$work/debian" 'ENV GOPATH=/go' 'ENV GOTOOLCHAIN=local' 'ENV CGO_ENABLED=0' \
        'ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' 'WORKDIR /go' 'CMD ["bash"]'
fi
