--- A shard's queue: ready runs, due runs, and since when the one that waits longest does ("": nothing waits). Only the first of the list is
--- looked at: the list is in the order of readiness.
--- include "now"
local function queue(shard)
  local ready, oldest = call("LLEN", shard .. "q"), ""
  if ready > 0 then
    local record = call("HGET", shard .. "r", call("LINDEX", shard .. "q", 0))
    oldest = record and match(record, "^%a(%d*)") or ""
  end
  local first, due = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "WITHSCORES", "LIMIT", 0, 1)[2], 0
  if first and tonumber(first) <= now() then
    due = call("ZCOUNT", shard .. "a", "(0", now())
    if oldest == "" or tonumber(first) < tonumber(oldest) then oldest = first end
  end
  return ready, due, oldest, first or ""
end
