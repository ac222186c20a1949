--- name:   append_stream
--- caller: client
--- keys:   stream
--- args:   now; per append: count id retention max_length max_age, then topic payload …
--- reply:  per append: first_ms first_number last_ms last_number
--- include "now" "forget_requests" "remember_request" "trim_stream"
local stream = KEYS[1]
local log, meta = stream .. "l", stream .. "m"
local last = call("HMGET", meta, "at", "number")
local at, number = tonumber(last[1] or 0), tonumber(last[2] or 0)
local function whole(value) return format("%.0f", value) end

forget_requests(stream)
at = math.max(at, now())
local replies, arg, appended = {}, 2, false
while arg <= #ARGV do
  local count, id, retention = tonumber(ARGV[arg]), ARGV[arg + 1], tonumber(ARGV[arg + 2])
  local known = call("HGET", stream .. "o", id)
  if known then
    replies[#replies + 1] = cjson.decode(known)
  else
    local reply = { whole(at), whole(number + 1), whole(at), whole(number + count) }
    for n = 0, count - 1 do
      number = number + 1
      call("XADD", log, whole(at) .. "-" .. whole(number), "t", ARGV[arg + 5 + 2 * n], "p", ARGV[arg + 6 + 2 * n])
    end
    remember_request(stream, id, cjson.encode(reply), retention)
    trim_stream(log, ARGV[arg + 3], ARGV[arg + 4])
    replies[#replies + 1], appended = reply, true
  end
  arg = arg + 5 + 2 * count
end
if appended then
  call("HSET", meta, "at", whole(at), "number", whole(number))
  call("SPUBLISH", stream .. "append", "")
end
return replies
