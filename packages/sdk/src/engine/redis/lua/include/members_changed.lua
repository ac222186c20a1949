--- New version of the member list, published (A1).
local function members_changed(settings, channel)
  local version = call("HINCRBY", settings, "members", 1)
  call("SPUBLISH", channel, tostring(version))
  return version
end
