--- name:   digests
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, controller fence ("": only read)
--- reply:  per shard: fence count first second
--- include "groups" "superseded"
--- Reads a controller's digests, after raising its fence (K2, K4).
return groups(function(shard, at)
  local controller, fence = ARGV[at], ARGV[at + 1]
  if fence ~= "" then superseded(shard, controller, fence) end
  return call("HMGET", shard .. "k", controller .. "\tfence", controller .. "\tcount", controller .. "\tfirst", controller .. "\tsecond")
end)
