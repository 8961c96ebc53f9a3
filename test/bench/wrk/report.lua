-- What wrk found, in one line for the program that started it.
function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %d %d %d %d %.0f %.0f\n",
        summary.requests, summary.duration, summary.bytes,
        e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
