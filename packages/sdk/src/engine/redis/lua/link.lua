--- name:   link
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, then per link: address run link limit outbox_limit count dropped links
--- reply:  per shard: per link: status run detail: record (ended), all links (too many), or nil
--- include "groups" "parse" "run_of"
--- Adds a link to a live run (X1). The same text counts once.
local function add(shard, address, at)
  local link, limit, outbox_limit, dropped = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local key = shard .. "l:" .. address
  for n = at + 4, at + 3 + dropped do
    call("LREM", key, 1, ARGV[n])
  end
  if call("LPOS", key, link) then return "linked", false end
  if call("LLEN", key) >= limit then return "full", call("LRANGE", key, 0, -1) end
  if call("HLEN", shard .. "x") >= outbox_limit then return "full", false end
  call("RPUSH", key, link)
  call("SADD", shard .. "y", address)
  return "linked", false
end

return groups(function(shard, at, last)
  local replies = {}
  while at <= last do
    local address, run = ARGV[at], ARGV[at + 1]
    local stored = call("HGET", shard .. "r", address)
    local status, stored_run, detail = "absent", "", false
    if stored then
      local phase, ident = parse(stored)
      stored_run = run_of(ident)
      if run ~= "" and run ~= stored_run then
        status = "replaced"
      elseif phase == "e" then
        status, detail = "ended", stored
      else
        status, detail = add(shard, address, at + 2)
      end
    end
    local n = #replies
    replies[n + 1], replies[n + 2], replies[n + 3] = status, stored_run, detail
    at = at + 6 + ARGV[at + 5]
  end
  return replies
end)
