--- Appends to the ready list; a hint only when it was empty (W7).
--- include "hint_ready"
local function push_ready(shard, addresses)
  if call("RPUSH", shard .. "q", unpack(addresses)) == #addresses then hint_ready(shard) end
end
