--- name:   destroy_sink
--- caller: member
--- keys:   stream
--- args:   now sink
--- reply:  1
redis.pcall("XGROUP", "DESTROY", KEYS[1] .. "l", ARGV[2])
call("DEL", KEYS[1] .. "c:" .. ARGV[2], KEYS[1] .. "r:" .. ARGV[2])
return 1
