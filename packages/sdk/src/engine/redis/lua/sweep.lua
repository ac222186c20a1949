--- name:   sweep
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size (0)
--- reply:  per shard: header|nil ready next_due|"" active…; last: now
--- include "now" "groups"
--- Proves what hints only promise (W7).
local replies = groups(function(shard)
  local reply = call("SMEMBERS", shard .. "w")
  local due = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "WITHSCORES", "LIMIT", 0, 1)
  table.insert(reply, 1, call("HGET", shard .. "r", ""))
  table.insert(reply, 2, call("LLEN", shard .. "q"))
  table.insert(reply, 3, due[2] or "")
  return reply
end)
replies[#replies + 1] = now()
return replies
