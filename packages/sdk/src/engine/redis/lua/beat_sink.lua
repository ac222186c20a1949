--- name:   beat_sink
--- caller: member
--- keys:   stream
--- args:   now sink consumer
--- reply:  consumer counter …
local counters = KEYS[1] .. "c:" .. ARGV[2]
if call("HEXISTS", counters, ARGV[3]) == 1 then call("HINCRBY", counters, ARGV[3], 1) end
return call("HGETALL", counters)
