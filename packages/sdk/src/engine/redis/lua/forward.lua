--- name:   forward
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header limit, sent entries (address<TAB>run<TAB>link)
--- reply:  per shard: "stale" | per entry: entry outcome
--- include "now" "groups" "fence"
--- Takes out of the outbox what was sent, and gives some of what is left (X1).
return groups(function(shard, at, last)
  if not fence(shard, ARGV[at]) then
    --- use "refuse"
    return refuse(shard, "forward", ARGV[at])
  end
  local x = shard .. "x"
  if last > at + 1 then call("HDEL", x, unpack(ARGV, at + 2, last)) end
  return call("HRANDFIELD", x, ARGV[at + 1], "WITHVALUES")
end)
