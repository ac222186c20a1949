--- name:   sweep
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size (0)
--- reply:  per shard: header|nil ready due oldest|"" next_due|"" outbox active…; last: now
--- include "now" "groups" "queue"
--- Proves what hints only promise (W7).
local replies = groups(function(shard)
  local reply = call("SMEMBERS", shard .. "w")
  local ready, due, oldest, next_due = queue(shard)
  table.insert(reply, 1, call("HGET", shard .. "r", ""))
  table.insert(reply, 2, ready)
  table.insert(reply, 3, due)
  table.insert(reply, 4, oldest)
  table.insert(reply, 5, next_due)
  table.insert(reply, 6, call("HLEN", shard .. "x"))
  return reply
end)
replies[#replies + 1] = now()
return replies
