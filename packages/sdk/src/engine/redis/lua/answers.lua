--- name:   answers
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size, request ids
--- reply:  per shard: per id: answer | nil
--- include "groups"
return groups(function(shard, at, last)
  return call("HMGET", shard .. "o", unpack(ARGV, at, last))
end)
