--- name:   release
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header released_header epoch
--- reply:  per shard: "released" | "stale"
--- include "groups" "fence"
return groups(function(shard, at)
  local header, released = ARGV[at], ARGV[at + 1]
  if not fence(shard, header) then
    return fence(shard, released) and "released" or "stale"
  end
  call("HSET", shard .. "r", "", released)
  call("SPUBLISH", shard .. "hint", "l\t" .. ARGV[at + 2])
  return "released"
end)
