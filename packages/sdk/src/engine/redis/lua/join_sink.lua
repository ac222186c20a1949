--- name:   join_sink
--- caller: client
--- keys:   stream
--- args:   now sink consumer start
--- reply:  1
local log, sink, start = KEYS[1] .. "l", ARGV[2], ARGV[4] == "" and "0" or ARGV[4]
redis.pcall("XGROUP", "CREATE", log, sink, start, "MKSTREAM")
call("HSETNX", KEYS[1] .. "c:" .. sink, ARGV[3], 1)
call("XGROUP", "CREATECONSUMER", log, sink, ARGV[3])
return 1
