-- Asks auth-service whether a request may pass: `http-request lua.verify /internal/verify?role=admin`.
--
-- Debian's HAProxy 2.6 has no directive for this, and no agent of its own for SPOE. It goes through the section `listen
-- verify`, which keeps connections, knows the servers and adds the token.

local socket = os.getenv("GATEWAY_VERIFY")
local identity = {
    "x-auth-user",
    "x-auth-session",
    "x-auth-role",
    "x-auth-acr",
    "x-auth-amr",
    "x-auth-time",
}
-- 400 and 431: with our headers, the head is too large for the section `listen verify`, or for the service.
local refusals = {[400] = true, [401] = true, [403] = true, [431] = true}

local function ask(txn, target)
    local given = txn.http:req_get_headers()
    local headers = {["host"] = {"auth"}}
    for _, name in ipairs({"authorization", "x-forwarded-for"}) do
        if given[name] then
            headers[name] = {given[name][0]}
        end
    end
    -- As the service takes it. With a longer one and a long token, the question would be too large for it.
    local id = given["x-request-id"] and given["x-request-id"][0]
    if id and #id <= 128 and id:match("^[%w._-]+$") then
        headers["x-request-id"] = {id}
    end
    return core.httpclient():get{
        url = "http://auth" .. target,
        dst = socket,
        headers = headers,
        timeout = 6000,
    }
end

local function refuse(txn, answer)
    local reply = txn:reply{status = answer.status, body = answer.body}
    reply:add_header("cache-control", "no-store")
    for _, name in ipairs({"content-type", "www-authenticate", "x-request-id"}) do
        if answer.headers[name] then
            reply:add_header(name, answer.headers[name][0])
        end
    end
    txn:done(reply)
end

-- What is neither granted nor refused here is a 503, by a rule of haproxy.cfg.
local function verify(txn, target)
    local answer = ask(txn, target)
    if refusals[answer.status] then
        refuse(txn, answer)
    elseif answer.status == 200 and answer.headers["x-auth-user"] then
        for _, name in ipairs(identity) do
            if answer.headers[name] then
                txn.http:req_set_header(name, answer.headers[name][0])
            end
        end
        txn:set_var("txn.granted", true)
    end
end

core.register_action("verify", {"http-req"}, verify, 1)

-- Ends a request whose body grows beyond so many bytes (`filter lua.limit 10485760`) and has not said so before.
local Limit = {id = "limit", flags = filter.FLT_CFG_FL_HTX}
Limit.__index = Limit

function Limit:new()
    return setmetatable({left = tonumber(self.args[1]) + 1}, Limit)  -- HAProxy counts the end as a byte
end

function Limit:start_analyze(txn, channel)
    if not channel:is_resp() then
        filter.register_data_filter(self, channel)
    end
end

function Limit:http_payload(txn, message)
    local size = message:input()
    self.left = self.left - size
    if self.left < 0 then
        txn:set_var("txn.too_large", true)
        error("a body of untold length has grown too large, and is refused with 413", 0)  -- the only way to end it here
    end
    return size
end

core.register_filter("limit", Limit, function(limit, arguments)
    limit.args = arguments
    return limit
end)
