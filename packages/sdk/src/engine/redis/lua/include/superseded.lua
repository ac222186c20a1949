--- Has this shard seen a higher fence of the controller (K2)? If not, remembers this one. Fences are 19 digits, compared as text (O2).
local function superseded(shard, controller, fence)
  local field = controller .. "\tfence"
  local seen = call("HGET", shard .. "k", field)
  if seen and fence < seen then return true end
  if seen ~= fence then call("HSET", shard .. "k", field, fence) end
  return false
end
