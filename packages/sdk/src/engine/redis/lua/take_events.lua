--- name:   take_events
--- caller: member
--- keys:   stream
--- args:   now sink consumer request limit max_bytes grace_ms|""
--- reply:  "removed" | position topic payload deliveries …
--- include "now" "pages" "shifted"
local stream, sink, consumer, request = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local log, takes = stream .. "l", stream .. "r:" .. sink
if call("HEXISTS", stream .. "c:" .. sink, consumer) == 0 then return "removed" end
local limit, max_bytes, grace = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local found = {}
-- What removed consumers held is dated 1970 (leave_sink): held for all but this much of the time since.
local SINCE_1970 = 1000

local function again(ids)
  for id in string.gmatch(ids, "%S+") do
    local event = call("XRANGE", log, id, id)[1]
    if event then found[#found + 1] = event end
  end
end

-- The pending list is scanned a part at a time: where it ended is where the next look goes on.
local function reclaim()
  local cursor = call("HGET", takes, "") or "0"
  local idle = grace == "0" and now() + shift() - SINCE_1970 or math.max(0, grace + shift())
  local ended = false
  pages(found, limit, max_bytes, function(wanted)
    if ended then return {} end
    local page = call("XAUTOCLAIM", log, sink, consumer, format("%.0f", idle), cursor, "COUNT", wanted)
    cursor = page[1]
    ended = cursor == "0-0"
    return page[2]
  end)
  call("HSET", takes, "", cursor)
end

local last = call("HGET", takes, consumer)
local known, ids = match(last or "", "^(%S*) ?(.*)$")
if last and known == request then
  again(ids)
else
  if grace ~= "" then reclaim() end
  pages(found, limit, max_bytes, function(wanted)
    local page = call("XREADGROUP", "GROUP", sink, consumer, "COUNT", wanted, "STREAMS", log, ">")
    return page and page[1][2] or {}
  end)
  date_deliveries(log, sink, consumer, found)
  local words = { request }
  for _, event in ipairs(found) do words[#words + 1] = event[1] end
  call("HSET", takes, consumer, table.concat(words, " "))
end

local reply = {}
for _, event in ipairs(found) do
  local pending = call("XPENDING", log, sink, event[1], event[1], 1)[1]
  reply[#reply + 1] = event[1]
  reply[#reply + 1] = event[2][2]
  reply[#reply + 1] = event[2][4]
  reply[#reply + 1] = pending and pending[4] or 0
end
return reply
