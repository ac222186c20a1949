--- Tells the shard's owner to pull (W7).
local function hint_ready(shard)
  local header = call("HGET", shard .. "r", "")
  local epoch = header and match(header, "\t(%d+)\t") or "0"
  call("SPUBLISH", shard .. "hint", "r\t" .. epoch)
end
