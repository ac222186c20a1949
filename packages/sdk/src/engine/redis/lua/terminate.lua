--- name:   terminate
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, then per run: address run revision outcome_length outcome retention mode, and by mode
---         c: controller fence
---         s: spec that the run must have
--- reply:  per shard: per run: status run
--- include "now" "groups" "parse" "run_of" "superseded" "spec_of" "digest" "release_links"
--- Ends runs from outside. The new revision makes any late write of the owner a conflict (O3).
local function decide(shard, at, fenced, expected)
  local address, run, revision = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local stored = call("HGET", shard .. "r", address)
  if not stored then return fenced and "fenced" or "absent", "" end
  local phase, ident, consumed, _, _, control, body_at = parse(stored)
  local stored_run = run_of(ident)
  if fenced then return "fenced", stored_run end
  if run ~= "" and run ~= stored_run then return "replaced", stored_run end
  local new_ident = stored_run .. "\t" .. revision
  if phase == "e" then return ident == new_ident and "terminated" or "ended", stored_run end
  if expected and spec_of(control) ~= expected then return "replaced", stored_run end

  local head = "e\t" .. new_ident .. "\t" .. consumed .. "\t" .. ARGV[at + 3] .. "\t\t" .. control .. "\t"
  call("HSET", shard .. "r", address, head .. ARGV[at + 4] .. sub(stored, body_at))
  call("ZADD", shard .. "a", -(now() + ARGV[at + 5]), address)
  if call("SREM", shard .. "b", address) == 1 then call("DEL", shard .. "i:" .. address, shard .. "j:" .. address) end
  release_links(shard, address, stored_run, ARGV[at + 4])
  if control ~= "" then digest(shard, control, "-") end
  if call("SREM", shard .. "w", address) == 1 then
    call("SPUBLISH", shard .. "hint", "t\t" .. address .. "\t" .. stored_run)
  elseif phase == "r" then
    call("LREM", shard .. "q", 1, address)
  end
  return "terminated", stored_run
end

return groups(function(shard, at, last)
  local replies, events = {}, {}
  while at <= last do
    local item, mode = at, ARGV[at + 6]
    local fenced, expected
    at = at + 7
    if find(mode, "c", 1, true) then
      fenced = superseded(shard, ARGV[at], ARGV[at + 1])
      at = at + 2
    end
    if find(mode, "s", 1, true) then
      expected = ARGV[at]
      at = at + 1
    end
    local status, run = decide(shard, item, fenced, expected)
    if status == "terminated" then events[#events + 1] = "e\t" .. ARGV[item] .. "\t" .. run end
    replies[#replies + 1] = status
    replies[#replies + 1] = run
  end
  if #events > 0 then call("SPUBLISH", shard .. "event", table.concat(events, "\n")) end
  return replies
end)
