# One image with all three programs: /cacheserver, /filler, /gateway. Nothing else is in it but the certificates that an https
# backend takes. Any builder builds it, BuildKit or not.
#
#   make image          docker build with the version, commit and date that configs/package/version.sh tells

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION COMMIT SOURCE_DATE_EPOCH
RUN VERSION=${VERSION:-0.0.0-image} COMMIT=$COMMIT SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date +%s)} \
        configs/package/build.sh "$(go env GOARCH)" /build cacheserver internal/doors \
    && mkdir -p /image/etc/ssl/certs \
    && mv /build/pagegate-cacheserver /image/cacheserver \
    && mv /build/pagegate-doors /image/gateway \
    && ln -s gateway /image/filler \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

FROM scratch
COPY --from=build /image/ /
# Nobody's: the number that minimal images have agreed on. A container may have another.
USER 65532:65532
CMD ["/gateway", "--help"]
