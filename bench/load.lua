-- What wrk sends, told by the environment; what it found, as one line of JSON on stdout.
wrk.method = os.getenv("LOAD_METHOD")
local body, authorization = os.getenv("LOAD_BODY"), os.getenv("LOAD_AUTHORIZATION")
if body then
    wrk.body = body
    wrk.headers["Content-Type"] = os.getenv("LOAD_TYPE") or "application/x-www-form-urlencoded"
end
if authorization then
    wrk.headers["Authorization"] = authorization
end

function done(summary, latency, requests)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format(
        '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status, broken))
end
