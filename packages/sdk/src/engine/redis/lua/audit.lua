--- name:   audit
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size, after limit
--- reply:  per shard: header|"" then limit entries at most, and one more if there are more
--- include "groups"
--- A page of the shard's audit. Entries are numbered without gaps, so that a number tells a place in the list.
return groups(function(shard, at)
  local h = shard .. "h"
  local oldest = call("LINDEX", h, 0)
  local from = oldest and math.max(ARGV[at] + 1 - tonumber(match(oldest, "^%d+")), 0) or 0
  local reply = call("LRANGE", h, from, from + ARGV[at + 1])
  table.insert(reply, 1, call("HGET", shard .. "r", "") or "")
  return reply
end)
