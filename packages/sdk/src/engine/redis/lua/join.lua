--- name:   join
--- caller: member
--- keys:   settings members counters channel
--- args:   now session record
--- reply:  member version
--- include "members_changed"
if call("HSETNX", KEYS[3], ARGV[2], 1) == 0 then return tonumber(call("HGET", KEYS[1], "members")) end
call("HSET", KEYS[2], ARGV[2], ARGV[3])
return members_changed(KEYS[1], KEYS[4])
