--- name:   pool_info
--- caller: reader
--- keys:   settings
--- args:   now
--- reply:  shards|nil incarnation|nil now
--- include "now"
local stored = call("HMGET", KEYS[1], "shards", "incarnation")
return { stored[1], stored[2], now() }
