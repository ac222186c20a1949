--- Appends to the shard's audit, whose entries are numbered without gaps. `keep`: how many remain; nil: as many as there are.
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
