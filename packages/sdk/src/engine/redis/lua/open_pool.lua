--- name:   open_pool
--- caller: client
--- keys:   settings
--- args:   now shards incarnation
--- reply:  shards incarnation now
--- include "now"
--- The first call fixes the pool's settings and its incarnation (O4).
redis.call("HSETNX", KEYS[1], "shards", ARGV[2])
redis.call("HSETNX", KEYS[1], "incarnation", ARGV[3])
local stored = redis.call("HMGET", KEYS[1], "shards", "incarnation")
return { stored[1], stored[2], now() }
