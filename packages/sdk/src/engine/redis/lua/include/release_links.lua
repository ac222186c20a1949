--- The run has ended: its links, if it has any, go to the shard's outbox with the outcome, and the owner is told (X1).
local function release_links(shard, address, run, outcome)
  if call("SREM", shard .. "y", address) == 0 then return end
  local key = shard .. "l:" .. address
  local links = call("LRANGE", key, 0, -1)
  for n = 1, #links do
    call("HSET", shard .. "x", address .. "\t" .. run .. "\t" .. links[n], outcome)
  end
  call("DEL", key)
  call("SPUBLISH", shard .. "hint", "x")
end
