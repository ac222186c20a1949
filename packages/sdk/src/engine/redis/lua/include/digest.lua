--- Adds (sign "") or subtracts (sign "-") a controlled run in the shard's digest (K4). `control` is "controller<US>spec<US>sum<US>sum".
local function digest(shard, control, sign)
  local controller, first, second = string.match(control, "^([^\31]*)\31[^\31]*\31(%d+)\31(%d+)$")
  local k = shard .. "k"
  call("HINCRBY", k, controller .. "\tcount", sign .. "1")
  call("HINCRBY", k, controller .. "\tfirst", sign .. first)
  call("HINCRBY", k, controller .. "\tsecond", sign .. second)
end
