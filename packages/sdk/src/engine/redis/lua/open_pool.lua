--- name:   open_pool
--- caller: client
--- keys:   settings
--- args:   now shards incarnation
--- reply:  shards incarnation now
--- include "now"
--- The first call fixes the pool's settings and its incarnation (O4).
call("HSETNX", KEYS[1], "shards", ARGV[2])
call("HSETNX", KEYS[1], "incarnation", ARGV[3])
local stored = call("HMGET", KEYS[1], "shards", "incarnation")
return { stored[1], stored[2], now() }
