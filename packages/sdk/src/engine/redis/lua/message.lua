--- name:   message
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, then per message: address run kind name id payload limit retention mode, and by mode
---         c: controller fence control
---         s: spec that the run must have
--- reply:  per shard: per message: status run number answer
--- include "groups" "parse" "run_of" "superseded" "spec_of" "accept"
--- Puts a message into a run's inbox, gives it its number (W4), and wakes a parked run that waits for it (W6).
local function decide(shard, address, at, controller, fence, control, expected)
  local stored = call("HGET", shard .. "r", address)
  local phase, ident, consumed, _, _, stored_control = parse(stored or "")
  local run = ident and run_of(ident) or ""
  local id = ARGV[at + 4]
  if call("ZSCORE", shard .. "d", id) then
    return "duplicate", run, 0, call("HGET", shard .. "o", id)
  end
  -- after the duplicate: a repetition raises no fence (E3)
  if controller and superseded(shard, controller, fence) then return "fenced", run, 0, false end
  if not stored then return "absent", "", 0, false end
  if ARGV[at + 1] ~= "" and ARGV[at + 1] ~= run then return "replaced", run, 0, false end
  if phase == "e" then return "ended", run, 0, false end
  if expected and spec_of(stored_control) ~= expected then return "replaced", run, 0, false end
  local waiting = call("LLEN", shard .. "i:" .. address)
  if waiting >= tonumber(ARGV[at + 6]) then return "full", run, 0, false end
  local number = accept(shard, address, stored, waiting, ARGV[at + 2], ARGV[at + 3], id, ARGV[at + 5], ARGV[at + 7], control)
  return "accepted", run, number, false
end

return groups(function(shard, at, last)
  local replies = {}
  while at <= last do
    local item, mode = at, ARGV[at + 8]
    local controller, fence, control, expected
    at = at + 9
    if find(mode, "c", 1, true) then
      controller, fence, control = ARGV[at], ARGV[at + 1], ARGV[at + 2]
      at = at + 3
    end
    if find(mode, "s", 1, true) then
      expected = ARGV[at]
      at = at + 1
    end
    local n = #replies
    replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = decide(shard, ARGV[item], item, controller, fence, control, expected)
  end
  return replies
end)
