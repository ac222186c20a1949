--- name:   forbid
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, then per run: run retention
--- reply:  per shard: per run: "forbidden" | "known"
--- include "now" "groups"
--- Takes the ids of runs that shall not start any more; `known`: one has (X1).
return groups(function(shard, at, last)
  local replies = {}
  for item = at, last, 2 do
    local run = ARGV[item]
    if call("ZADD", shard .. "d", "NX", now() + ARGV[item + 1], run) == 1 then call("HSET", shard .. "o", run, "forbidden") end
    replies[#replies + 1] = call("HGET", shard .. "o", run) == "forbidden" and "forbidden" or "known"
  end
  return replies
end)
