#!/usr/bin/env bash
# Runs every fuzz target of the project for the given time each.
set -euo pipefail

time=${1:-20s}
grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do
    package=$(dirname "$file")
    for target in $(grep -oE '^func (Fuzz[A-Za-z0-9_]+)' "$file" | cut -d' ' -f2); do
        echo "== $package $target"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s "$package" # a minute, the default, is all the time that there is
    done
done
