--- name:   headers
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size (0)
--- reply:  per shard: [header | nil]
--- include "groups"
return groups(function(shard)
  return call("HMGET", shard .. "r", "")
end)
