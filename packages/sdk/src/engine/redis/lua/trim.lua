--- name:   trim
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header limit
--- reply:  per shard: "stale" | [number removed]
--- include "now" "groups" "fence"
--- Forgets ended runs, request ids and answers whose retention is over (L1).
return groups(function(shard, at)
  if not fence(shard, ARGV[at]) then
    --- use "refuse"
    return refuse(shard, "trim", ARGV[at])
  end
  local limit = tonumber(ARGV[at + 1])
  -- scores are minus the expiry: what expired first comes last
  local ended = call("ZREVRANGEBYSCORE", shard .. "a", "(0", -now(), "LIMIT", 0, limit)
  if #ended > 0 then
    call("HDEL", shard .. "r", unpack(ended))
    call("ZREM", shard .. "a", unpack(ended))
  end
  local ids = call("ZRANGEBYSCORE", shard .. "d", "-inf", now(), "LIMIT", 0, limit - #ended)
  if #ids > 0 then
    call("ZREM", shard .. "d", unpack(ids))
    call("HDEL", shard .. "o", unpack(ids))
  end
  return { #ended + #ids }
end)
