--- name:   queues
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size (0)
--- reply:  per shard: ready due oldest|"" active; last: now
--- include "now" "groups" "queue"
--- How much waits and runs, and for how long: what tells whether there are enough workers.
local replies = groups(function(shard)
  local ready, due, oldest = queue(shard)
  return { ready, due, oldest, call("SCARD", shard .. "w") }
end)
replies[#replies + 1] = now()
return replies
