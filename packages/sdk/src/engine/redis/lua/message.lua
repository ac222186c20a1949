--- name:   message
--- caller: client
--- keys:   shard…
--- args:   now; per shard: size, then per message: address run kind name id payload limit retention mode, and by mode
---         c: controller fence control
---         s: spec that the run must have
--- reply:  per shard: per message: status run number answer
--- include "now" "groups" "parse" "run_of" "superseded" "spec_of" "digest" "is_on" "push_ready" "since"
--- Puts a message into a run's inbox, gives it its number (W4), and wakes a parked run that waits for it (W6).
local function accept(shard, address, stored, at, control)
  local run, kind, name, id, payload = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local phase, ident, consumed, due, on, stored_control, body_at = parse(stored)
  local text = kind .. "\t" .. name .. "\t" .. id .. "\t" .. string.format("%.0f", now()) .. "\t" .. payload
  local number = consumed + call("RPUSH", shard .. "i:" .. address, text)
  call("ZADD", shard .. "d", now() + ARGV[at + 7], id)

  local active = call("SISMEMBER", shard .. "w", address) == 1
  local wakes = phase == "p" and not active and is_on(on, kind, name)
  if control and control ~= stored_control then
    if stored_control ~= "" then digest(shard, stored_control, "-") end
    digest(shard, control, "")
  end
  if wakes or control then
    -- the due time stays: the owner must know that a delayed run was woken before its time
    local front = string.match(stored, "^%a%d*")
    if wakes then front, on = "r" .. since(), "" end
    local head = front .. "\t" .. ident .. "\t" .. consumed .. "\t" .. due .. "\t" .. on .. "\t" .. (control or stored_control) .. "\t"
    call("HSET", shard .. "r", address, head .. string.sub(stored, body_at))
  end
  if wakes then
    call("ZREM", shard .. "a", address)
    push_ready(shard, { address })
  elseif active then
    call("SPUBLISH", shard .. "hint", "m\t" .. address .. "\t" .. run_of(ident) .. "\t" .. number .. "\t" .. text)
  end
  return number
end

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
  if call("LLEN", shard .. "i:" .. address) >= tonumber(ARGV[at + 6]) then return "full", run, 0, false end
  return "accepted", run, accept(shard, address, stored, at, control), false
end

return groups(function(shard, at, last)
  local replies = {}
  while at <= last do
    local item, mode = at, ARGV[at + 8]
    local controller, fence, control, expected
    at = at + 9
    if string.find(mode, "c", 1, true) then
      controller, fence, control = ARGV[at], ARGV[at + 1], ARGV[at + 2]
      at = at + 3
    end
    if string.find(mode, "s", 1, true) then
      expected = ARGV[at]
      at = at + 1
    end
    local n = #replies
    replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = decide(shard, ARGV[item], item, controller, fence, control, expected)
  end
  return replies
end)
