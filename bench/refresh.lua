-- One chain of refresh tokens a thread (wrk with as many threads as connections): each answer's token
-- is the next request's. REFRESH_TOKENS: one a line; LOAD_AUTHORIZATION: the client's.
local threads = {}
local tokens = {}
for token in string.gmatch(os.getenv("REFRESH_TOKENS") or "", "[^\n]+") do
    table.insert(tokens, token)
end

function setup(thread)
    table.insert(threads, thread)
    thread:set("token", tokens[#threads])
    thread:set("refused", 0)
end

local headers = {
    ["Content-Type"] = "application/x-www-form-urlencoded",
    ["Authorization"] = os.getenv("LOAD_AUTHORIZATION"),
}

function request()
    return wrk.format("POST", "/oauth2/token", headers, "grant_type=refresh_token&refresh_token=" .. token)
end

function response(status, _, body)
    local fresh = string.match(body, '"refresh_token":"([^"]+)"')
    if status == 200 and fresh then
        token = fresh
    else
        refused = refused + 1
    end
end

function done(summary, latency)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    local refused = 0
    for _, thread in ipairs(threads) do
        refused = refused + thread:get("refused")
    end
    io.write(string.format(
        '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), refused, broken))
end
