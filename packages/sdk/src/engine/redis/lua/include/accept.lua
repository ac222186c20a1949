--- Puts a message into the inbox of a live run, whose record is `stored`, and gives its number (W4); wakes a parked run that waits for it (W6). `waiting`: what is in its inbox.
--- include "now" "parse" "run_of" "digest" "is_on" "push_ready" "since"
local function accept(shard, address, stored, waiting, kind, name, id, payload, retention, control)
  local phase, ident, consumed, due, on, stored_control, body_at = parse(stored)
  local text = kind .. "\t" .. name .. "\t" .. id .. "\t" .. format("%.0f", now()) .. "\t" .. payload
  -- the mark first: without its list it does no harm
  if waiting == 0 then call("SADD", shard .. "b", address) end
  local number = consumed + call("RPUSH", shard .. "i:" .. address, text)
  call("ZADD", shard .. "d", now() + retention, id)

  local active = call("SISMEMBER", shard .. "w", address) == 1
  local wakes = phase == "p" and not active and is_on(on, kind, name)
  if control and control ~= stored_control then
    if stored_control ~= "" then digest(shard, stored_control, "-") end
    digest(shard, control, "")
  end
  if wakes or control then
    -- the due time stays: the owner must know that a delayed run was woken before its time
    local front = match(stored, "^%a%d*")
    if wakes then front, on = "r" .. since(), "" end
    local head = front .. "\t" .. ident .. "\t" .. consumed .. "\t" .. due .. "\t" .. on .. "\t" .. (control or stored_control) .. "\t"
    call("HSET", shard .. "r", address, head .. sub(stored, body_at))
  end
  if wakes then
    call("ZREM", shard .. "a", address)
    push_ready(shard, { address })
  elseif active then
    call("SPUBLISH", shard .. "hint", "m\t" .. address .. "\t" .. run_of(ident) .. "\t" .. number .. "\t" .. text)
  end
  return number
end
