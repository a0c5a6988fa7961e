-- Uses one-time tokens up, each once (wrk with as many threads as connections). ONE_TIME_TOKENS: a file
-- with one a line; LOAD_AUTHORIZATION: who introspects.
local threads = {}
local path = os.getenv("ONE_TIME_TOKENS")

function setup(thread)
    table.insert(threads, thread)
    thread:set("number", #threads)
    thread:set("active", 0)
    thread:set("refused", 0)
end

local headers = {
    ["Content-Type"] = "application/x-www-form-urlencoded",
    ["Authorization"] = os.getenv("LOAD_AUTHORIZATION"),
}

function init(args)
    own, at = {}, 0
    local line, count = 0, tonumber(args[1])
    for token in io.lines(path) do
        if line % count == number - 1 then
            table.insert(own, token)
        end
        line = line + 1
    end
end

function request()
    at = at + 1
    if at >= #own then
        wrk.thread:stop()
    end
    return wrk.format("POST", "/oauth2/introspect", headers, "token=" .. (own[at] or own[#own]))
end

function response(status, _, body)
    if status == 200 and string.find(body, '"active":true', 1, true) then
        active = active + 1
    else
        refused = refused + 1
    end
end

function done(summary, latency)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    local active, refused = 0, 0
    for _, thread in ipairs(threads) do
        active = active + thread:get("active")
        refused = refused + thread:get("refused")
    end
    io.write(string.format(
        '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
        active, summary.duration, latency:percentile(50), latency:percentile(99), refused, broken))
end
