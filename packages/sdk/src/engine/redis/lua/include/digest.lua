--- Adds (sign "") or subtracts (sign "-") a controlled run in the shard's digest (K4). `control` is "controller<US>spec<US>sum<US>sum".
local function digest(shard, control, sign)
  local controller, first, second = match(control, "^([^\31]*)\31[^\31]*\31(%d+)\31(%d+)$")
  local k = shard .. "k"
  call("HINCRBY", k, controller .. "\tcount", sign .. "1")
  -- a hash may be 0, and Redis refuses "-0"
  call("HINCRBY", k, controller .. "\tfirst", first == "0" and first or sign .. first)
  call("HINCRBY", k, controller .. "\tsecond", second == "0" and second or sign .. second)
end
